package drivertest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/memnet"
)

// echoAfter repeats each line after delay.
func echoAfter(delay time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for lines := bufio.NewScanner(c); lines.Scan(); {
			<-time.After(delay)
			if _, err := fmt.Fprintln(c, lines.Text()); err != nil {
				return
			}
		}
	}
}

// echoSubject returns a driver whose connections wrap makes, with a server that takes
// delay for each answer.
func echoSubject(t testing.TB, delay time.Duration, wrap func(*conn.Conn) driver.Conn) drivertest.Subject {
	nw := new(memnet.Network)
	ln, err := nw.Listen("server:1")
	require.NoError(t, err)
	return drivertest.Subject{
		Connector: dialing(func(ctx context.Context) (driver.Conn, error) {
			nc, err := nw.DialContext(ctx, "tcp", "server:1")
			if err != nil {
				return nil, err
			}
			return wrap(conn.New(nc)), nil
		}),
		Server:   drivertest.Serve(t, ln, drivertest.Each(echoAfter(delay))),
		Exchange: func(c driver.Conn) error { return exchange(c, "x\n", "x\n") },
		Leftover: func(c driver.Conn) error { return exchange(c, "a\nb\n", "a\n") },
	}
}

// exchange sends lines and reads one line of a single letter. It fails unless that is
// want.
func exchange(c driver.Conn, lines, want string) error {
	if _, err := io.WriteString(c.(net.Conn), lines); err != nil {
		return err
	}
	answer := make([]byte, 2)
	if _, err := io.ReadFull(c.(net.Conn), answer); err != nil {
		return err
	}
	if string(answer) != want {
		return fmt.Errorf("answer %q, want %q", answer, want)
	}
	return nil
}

// A connection that checks its socket finds only answers that have arrived.
func TestALeftoverThatComesLateDoesNotFailAGoodDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leftovers := 0
		r := record(t, func(t testing.TB) {
			drivertest.RunRule(t, "NothingIsLeftOver", func(t testing.TB) drivertest.Subject {
				s := echoSubject(t, 50*time.Millisecond, func(c *conn.Conn) driver.Conn { return c })
				leaves := s.Leftover
				s.Leftover = func(c driver.Conn) error {
					leftovers++
					return leaves(c)
				}
				return s
			})
		})
		assert.Empty(t, r.errors)
		assert.Empty(t, r.skipped)
		assert.Greater(t, leftovers, 1, "the first leftover answer came too late to be found")
	})
}

type dialing func(context.Context) (driver.Conn, error)

func (dial dialing) Connect(ctx context.Context) (driver.Conn, error) { return dial(ctx) }

// buffered is a connection with a buffer that IsValid does not check.
type buffered struct {
	*conn.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// If the server's answers came one by one, only the first would be in the buffer,
// and a check of the socket would find the other.
func TestALeftoverInABufferIsFoundThoughTheServerAnswersOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t, func(t testing.TB) {
			drivertest.RunRule(t, "NothingIsLeftOver", func(t testing.TB) drivertest.Subject {
				return echoSubject(t, 5*time.Millisecond, func(c *conn.Conn) driver.Conn { return &buffered{c, bufio.NewReader(c)} })
			})
		})
		require.NotEmpty(t, r.errors)
		assert.Contains(t, r.errors[0], `the first request after Leftover: answer "b\n", want "x\n"; IsValid and ResetSession accepted the connection`)
	})
}

func TestARuleThatNeedsALeftoverNamesTheField(t *testing.T) {
	without := func(t testing.TB) drivertest.Subject {
		s := inMemory(nil)(t)
		s.Leftover, s.Spoil, s.Fresh = nil, nil, nil
		return s
	}
	r := record(t, func(t testing.TB) { drivertest.RunRule(t, "NothingIsLeftOver", without) })
	assert.Empty(t, r.errors)
	assert.Contains(t, r.skipped, "the Subject has no Leftover: set it")
	r = record(t, func(t testing.TB) { drivertest.RunRule(t, "ResetSessionCleansUp", without) })
	assert.Empty(t, r.errors)
	assert.Equal(t, []string{"state that a holder leaves is not checked: the Subject has no Spoil"}, r.logs)
}

func TestALeftoverThatFailsFailsItsRule(t *testing.T) {
	r := record(t, func(t testing.TB) {
		drivertest.RunRule(t, "NothingIsLeftOver", func(t testing.TB) drivertest.Subject {
			s := inMemory(nil)(t)
			s.Leftover = func(driver.Conn) error { return io.ErrUnexpectedEOF }
			return s
		})
	})
	require.NotEmpty(t, r.errors)
	assert.Contains(t, r.errors[0], "Leftover: unexpected EOF")
}

func TestRunSaysInOneLineWhatItCouldNotCheck(t *testing.T) {
	for test, want := range map[string]string{
		"TestGoodDriverPassesInMemory": "",
		"TestFakePassesTheSuite": "drivertest: NOT CHECKED: answers that a holder leaves unread (set Leftover); " +
			"state that a holder leaves (set Spoil and Fresh, if the protocol has any)",
		"TestDriverWithoutOptionalInterfacesPasses": "drivertest: NOT CHECKED: requests (set Exchange); answers that a holder leaves unread (set Leftover); " +
			"state that a holder leaves (set Spoil and Fresh, if the protocol has any)",
	} {
		t.Run(test, func(t *testing.T) {
			out, err := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v").CombinedOutput()
			require.NoError(t, err, "%s", out)
			var said []string
			for line := range strings.Lines(string(out)) {
				if _, line, ok := strings.Cut(line, ": drivertest: "); ok {
					said = append(said, "drivertest: "+strings.TrimSpace(line))
				}
			}
			if want == "" {
				assert.Empty(t, said)
				return
			}
			assert.Equal(t, []string{want}, said)
		})
	}
}

// On a loaded machine, the server may see the end of a connection late.
func TestAnEndThatIsSeenLateAFewTimesDoesNotFailAGoodDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closes atomic.Int32
		lateTwice := breaks(func(t testing.TB, c *plainConn) driver.Conn {
			end := until(t)
			return &patched{plainConn: c, patchedClose: func() error {
				if closes.Add(1) > 2 {
					return c.Close()
				}
				go closeLater(c, end)
				return nil
			}}
		})
		r := record(t, func(t testing.TB) { drivertest.RunRule(t, "CloseReachesThePeer", inMemory(lateTwice)) })
		assert.Empty(t, r.errors)
		assert.Empty(t, r.skipped)
	})
}
