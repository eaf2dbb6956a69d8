package adapt_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/internal/testcert"
)

// leisurely serves a connection. After QUIT it sends many answers, waits for delay,
// and closes the connection.
func leisurely(nc net.Conn, delay time.Duration) {
	if line, _ := bufio.NewReader(nc).ReadString('\n'); line != "QUIT\n" {
		return
	}
	for range 100 {
		if _, err := io.WriteString(nc, "an answer that nobody has read\n"); err != nil {
			return
		}
	}
	<-time.After(delay)
}

// leaves has how long the server takes to close, and how long Close then takes.
var leaves = []struct{ server, client time.Duration }{{0, 0}, {300 * time.Millisecond, 300 * time.Millisecond}, {time.Hour, time.Second}}

func TestCloseSaysGoodbyeAndWaitsUntilTheServerHasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range leaves {
			closed := false
			c := connect(t, onMemnet(t, func(nc net.Conn) { leisurely(nc, tc.server) }, adapt.Client[*lines]{
				Goodbye: "QUIT\n",
				Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
				Close: func(l *lines) error {
					closed = true
					return l.Close()
				},
			}))
			began := time.Now()
			require.NoError(t, c.Close())
			assert.Equal(t, tc.client, time.Since(began))
			assert.True(t, closed, "the client is closed too")
		}
	})
}

func TestCloseGivesTheServerTimeToSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, onMemnet(t, func(nc net.Conn) { leisurely(nc, 300*time.Millisecond) }, adapt.Client[*lines]{
			Goodbye: "QUIT\n",
			Settle:  20 * time.Millisecond,
			Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
		}))
		began := time.Now()
		require.NoError(t, c.Close())
		assert.Equal(t, 320*time.Millisecond, time.Since(began))
	})
}

func TestAConnectionCutOffByItsContextStillSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, onMemnet(t, func(nc net.Conn) { leisurely(nc, time.Millisecond) }, adapt.Client[*lines]{
			Goodbye: "QUIT\n",
			Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer c.(driver.Binder).Bind(ctx)()
		cancel()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, c.Close())
		assert.Equal(t, time.Millisecond, time.Since(began))
	})
}

func TestFarewellWaitsUntilTheServerHasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range leaves {
			nc, err := onMemnet(t, func(nc net.Conn) { leisurely(nc, tc.server) }, adapt.Client[*lines]{}).Dial(t.Context())
			require.NoError(t, err)
			began := time.Now()
			require.NoError(t, adapt.Farewell(nc, "QUIT\n"))
			assert.Equal(t, tc.client, time.Since(began))
			_, err = nc.Write([]byte{1})
			assert.ErrorIs(t, err, net.ErrClosed)
		}
	})
}

// untilEnd serves a connection until the client's half of it has ended, and then
// waits for delay.
func untilEnd(delay time.Duration) func(net.Conn) {
	return func(nc net.Conn) {
		_, _ = io.Copy(io.Discard, nc)
		<-time.After(delay)
	}
}

func TestWithoutGoodbyeCloseEndsTheClientsHalfAndWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range leaves {
			c := connect(t, onMemnet(t, untilEnd(tc.server), adapt.Client[*lines]{
				Start: func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
			}))
			began := time.Now()
			require.NoError(t, c.Close())
			assert.Equal(t, tc.client, time.Since(began))
		}
	})
}

func TestCloseWaitsForTheServerAfterTheLibraryHasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, onMemnet(t, untilEnd(time.Millisecond), adapt.Client[*lines]{
			Start: func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
		}))
		client, _ := driver.As[*lines](c)
		began := time.Now()
		require.NoError(t, client.Close(), "as libraries do after an error")
		assert.Zero(t, time.Since(began), "the holder does not wait")
		_ = c.Close()
		assert.Equal(t, time.Millisecond, time.Since(began))
	})
}

func TestAFailedStartWaitsForTheServerAndLetsItSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connector, err := adapt.New(onMemnet(t, untilEnd(time.Millisecond), adapt.Client[*lines]{
			Settle: 20 * time.Millisecond,
			Start:  func(context.Context, net.Conn) (*lines, error) { return nil, io.ErrUnexpectedEOF },
		}))
		require.NoError(t, err)
		began := time.Now()
		_, err = connector.Connect(t.Context())
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, 21*time.Millisecond, time.Since(began))
	})
}

// With TLS, the goodbye and the end of the client's half are inside it.
func TestCloseWaitsForTheServerThroughTLSToo(t *testing.T) {
	ca := testcert.NewCA()
	for _, goodbye := range []string{"", "QUIT\n"} {
		for _, delay := range []time.Duration{0, 300 * time.Millisecond, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				var said []byte
				how := onMemnet(t, func(nc net.Conn) {
					secure := tls.Server(nc, ca.ServerConfig())
					said, _ = io.ReadAll(secure)
					<-time.After(delay)
					secure.Close()
				}, adapt.Client[*lines]{
					Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
					Goodbye: goodbye,
				})
				plain := how.Dial
				how.Dial = func(ctx context.Context) (net.Conn, error) {
					nc, err := plain(ctx)
					if err != nil {
						return nil, err
					}
					secure := tls.Client(nc, ca.ClientConfig())
					return secure, secure.HandshakeContext(ctx)
				}
				c := connect(t, how)
				began := time.Now()
				require.NoError(t, c.Close())
				until := time.Second / 2 // this server waits for the end of the client's half too
				if goodbye == "" {
					until = 0
				}
				assert.Equal(t, min(until+delay, time.Second), time.Since(began))
				synctest.Wait()
				assert.Equal(t, goodbye, string(said))
			})
		}
	}
}

func TestAHijackedConnectionEndsAfterTheLibraryHasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		c := connect(t, onMemnet(t, func(nc net.Conn) {
			untilEnd(0)(nc)
			close(ended)
		}, adapt.Client[*lines]{
			Start: func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
		}))
		client, _ := driver.As[*lines](c)
		require.NoError(t, client.Close())
		<-ended
	})
}

func TestFarewellWaitsForBackgroundWorkIfTheServerIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct{ server, background, want time.Duration }{
			{0, time.Hour, 0}, // no background work is left
			{time.Hour, 0, time.Second},
			{time.Hour, 1200 * time.Millisecond, 1200 * time.Millisecond},
			{time.Hour, time.Hour, 2500 * time.Millisecond},
		} {
			nc, err := onMemnet(t, func(nc net.Conn) { leisurely(nc, tc.server) }, adapt.Client[*lines]{}).Dial(t.Context())
			require.NoError(t, err)
			done := make(chan struct{})
			time.AfterFunc(tc.background, func() { close(done) })
			began := time.Now()
			require.NoError(t, adapt.Farewell(nc, "QUIT\n", done, done))
			assert.Equal(t, tc.want, time.Since(began))
		}
	})
}

func TestNothingIsWrittenAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan string, 1)
		c := connect(t, onMemnet(t, func(nc net.Conn) {
			all, _ := io.ReadAll(nc)
			received <- string(all)
			<-time.After(time.Second / 2)
		}, adapt.Client[*lines]{
			Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
			Goodbye: "QUIT\n",
		}))
		l := client(t, c)
		go c.Close()
		synctest.Wait() // now Close waits for the server
		_, err := io.WriteString(l.nc, "late\n")
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.Equal(t, "QUIT\n", <-received)
	})
}

func TestARequestThatWasCutInHalfIsNotFollowedByGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan string, 1)
		read := make(chan struct{})
		c := connect(t, onMemnet(t, func(nc net.Conn) {
			<-read
			all, _ := io.ReadAll(nc)
			received <- string(all)
		}, adapt.Client[*lines]{
			Start:   func(_ context.Context, nc net.Conn) (*lines, error) { return newLines(nc), nil },
			Goodbye: "\nQUIT\n",
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		defer c.(driver.Binder).Bind(ctx)()
		request := "DELETE " + strings.Repeat("x", 10<<20) + "\n"
		n, err := io.WriteString(client(t, c).nc, request)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(read)
		require.NoError(t, c.Close())
		assert.True(t, <-received == request[:n], "with more bytes after it, the server takes half a request for a whole one")
	})
}
