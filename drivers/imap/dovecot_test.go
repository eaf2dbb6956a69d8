//go:build linux

package imap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

func TestDovecotLogin(t *testing.T) {
	d := startDovecot(t, 10)
	for _, tc := range []struct{ encryption, auth, want string }{
		{imap.Implicit, "", "PLAIN"},
		{imap.StartTLS, "", "PLAIN"},
		{imap.Implicit, "LOGIN", "LOGIN"},
		{imap.StartTLS, "SCRAM-SHA-256", "SCRAM-SHA-256"},
		{imap.None, "", "SCRAM-SHA-256"},
	} {
		t.Run(tc.encryption+" "+tc.auth, func(t *testing.T) {
			config := d.config(tc.encryption)
			config.Auth = tc.auth
			c, err := connectTo(t, d.connector(config))
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.Mechanism())
			assert.True(t, c.Caps().Has(goimap.CapUnselect))
			require.NoError(t, c.Ping(soon(t)))
			id, err := c.ID(&goimap.IDData{Name: "test"}).Wait()
			require.NoError(t, err)
			assert.Equal(t, "Dovecot", id.Name)
		})
	}
}

func TestDovecotKeepsAndFindsMail(t *testing.T) {
	d := startDovecot(t, 10)
	d.fill(2, 100_000)
	c := d.dial(imap.Implicit)
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	messages, err := c.Fetch(goimap.SeqSet{{Start: 1, Stop: 3}}, body).Collect()
	require.NoError(t, err)
	require.Len(t, messages, 3)
	assert.Equal(t, message(100_000), string(messages[2].FindBodySection(body.BodySection[0])))
	found, err := c.UIDSearch(&goimap.SearchCriteria{Larger: 1000}, nil).Wait()
	require.NoError(t, err)
	assert.Len(t, found.AllUIDs(), 1)
	_, err = c.Move(goimap.SeqSetNum(3), "Missing").Wait()
	assert.ErrorContains(t, err, "TRYCREATE")
	assert.True(t, c.IsValid(), "an answer of no leaves the connection")
}

// go-imap closes a connection on which a message is refused before it came.
func TestDovecotRefusesAMessage(t *testing.T) {
	d := startDovecot(t, 10)
	c := d.dial(imap.Implicit)
	a := c.Append("Missing", 5000, nil)
	_, err := a.Write([]byte("Subject"))
	assert.ErrorContains(t, err, "TRYCREATE")
	assert.ErrorContains(t, a.Close(), "TRYCREATE")
	_, err = a.Wait()
	assert.ErrorContains(t, err, "TRYCREATE")
	assert.False(t, c.IsValid())
}

func TestDovecotHearsAWrongPasswordOnce(t *testing.T) {
	d := startDovecot(t, 10)
	config := d.config(imap.Implicit)
	config.Password = "wrong"
	p, err := pool.New[*imap.Conn](d.connector(config), pool.Config{MinIdle: 3, MaxConnecting: 1})
	require.NoError(t, err)
	defer p.Close()
	for range 20 {
		_, err = p.Acquire(bounded(t, 10*time.Second))
		require.ErrorContains(t, err, "AUTHENTICATIONFAILED")
		assert.True(t, driver.IsPermanent(err))
	}
	assert.EqualValues(t, 1, p.Stats().Connects)
}

func TestDovecotLimit(t *testing.T) {
	d := startDovecot(t, 3)
	var open []*imap.Conn
	for range 3 {
		open = append(open, d.dial(imap.Implicit))
	}
	_, err := connectTo(t, d.connector(d.config(imap.Implicit)))
	require.ErrorContains(t, err, "[LIMIT]")
	pause, ok := driver.RetryAfter(err)
	assert.True(t, ok)
	assert.Equal(t, time.Second, pause)
	assert.False(t, driver.IsPermanent(err))
	open[0].Close()
	require.Eventually(t, func() bool {
		_, err := connectTo(t, d.connector(d.config(imap.Implicit)))
		return err == nil
	}, 5*time.Second, 10*time.Millisecond, "a connection that logs out makes room")
}

func TestDovecotHangsUp(t *testing.T) {
	d := startDovecot(t, 10)
	for _, tc := range []struct {
		name string
		do   func()
		bye  bool
	}{
		{"kick", d.Kick, true},
		{"kill", d.Kill, false},
		{"restart", func() { d.Stop(); d.Start() }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := pool.New[*imap.Conn](d.connector(d.config(imap.Implicit)), pool.Config{MinIdle: 3, MaxOpen: 4})
			require.NoError(t, err)
			defer p.Close()
			require.NoError(t, p.Ready(soon(t)))
			l, err := p.Acquire(soon(t))
			require.NoError(t, err)
			tc.do()
			ended(t, l.Conn())
			err = l.Conn().Noop().Wait()
			assert.True(t, driver.IsBad(err), "%v", err)
			if tc.bye {
				assert.ErrorContains(t, err, "imap: BYE Server shutting down.")
			}
			l.Discard(err)
			require.NoError(t, p.Do(soon(t), func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() }),
				"one call, with a pool full of dead connections")
		})
	}
	wantGoroutines(t, 0)
}

func TestDovecotStopsAnswering(t *testing.T) {
	d := startDovecot(t, 10)
	pinged, bound, closed := d.dial(imap.Implicit), d.dial(imap.StartTLS), d.dial(imap.Implicit)
	d.Signal(syscall.SIGSTOP)
	defer d.Signal(syscall.SIGCONT)
	began := time.Now()
	assert.ErrorIs(t, pinged.Ping(bounded(t, 100*time.Millisecond)), context.DeadlineExceeded)
	unbind := bound.Bind(bounded(t, 100*time.Millisecond))
	_, err := bound.Select("INBOX", nil).Wait()
	unbind()
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), time.Second)
	began = time.Now()
	within(t, "Close", func() { closed.Close() })
	t.Log("Close took", time.Since(began))
	wantGoroutines(t, 0)
	t.Log("all took", time.Since(began))
}

func TestDovecotResetDoesNotExpunge(t *testing.T) {
	d := startDovecot(t, 10)
	d.fill(1, 10)
	c := d.dial(imap.Implicit)
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	require.NoError(t, c.Store(goimap.SeqSetNum(1), &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Flags: []goimap.Flag{goimap.FlagDeleted}}, nil).Close())
	require.NoError(t, c.ResetSession(soon(t)))
	assert.Empty(t, c.Mailbox())
	status, err := c.Status("INBOX", &goimap.StatusOptions{NumMessages: true}).Wait()
	require.NoError(t, err)
	assert.EqualValues(t, 2, *status.NumMessages)
	_, err = c.Search(&goimap.SearchCriteria{}, nil).Wait()
	assert.Error(t, err, "no mailbox is selected at the server")
	require.NoError(t, c.ResetSession(soon(t)))
}

func TestDovecotAndWhatIsAbandoned(t *testing.T) {
	d := startDovecot(t, 10)
	d.fill(600, 4<<20)
	other := d.dial(imap.None)
	require.NoError(t, other.Create("Other", nil).Wait())
	other.Close()
	for _, tc := range abandoned {
		if tc.name == "expunged messages" {
			continue // the others want them
		}
		for _, encryption := range []string{imap.None, imap.Implicit} {
			t.Run(tc.name+" "+encryption, func(t *testing.T) {
				c := d.dial(encryption)
				_, err := c.Select("INBOX", nil).Wait()
				require.NoError(t, err)
				tc.leave(t, c)
				require.Equal(t, !tc.dead, c.IsValid())
				if !tc.dead {
					within(t, "ResetSession", func() { require.NoError(t, c.ResetSession(soon(t))) })
					require.NoError(t, c.Noop().Wait())
					_, err := c.Search(&goimap.SearchCriteria{}, nil).Wait()
					require.Error(t, err, "no mailbox is selected at the server")
				}
				within(t, "Close", func() { c.Close() })
				wantGoroutines(t, 0)
			})
		}
	}
}

func TestDovecotWatch(t *testing.T) {
	d := startDovecot(t, 10)
	p, err := pool.New[*imap.Conn](d.connector(d.config(imap.Implicit)), pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan []imap.Update), make(chan error, 1)
	go func() {
		done <- imap.Watch(ctx, p, "INBOX", func(_ context.Context, _ *imap.Conn, news []imap.Update) error {
			calls <- news
			return nil
		})
	}()
	assert.Empty(t, <-calls)
	for range 2 {
		d.fill(0, 10)
		assert.NotEmpty(t, <-calls)
		d.Kick()
		assert.Empty(t, <-calls, "after a lost connection")
	}
	cancel()
	for {
		select {
		case <-calls:
			continue
		case err := <-done:
			assert.ErrorIs(t, err, context.Canceled)
		}
		break
	}
}

// socketCount counts the sockets of a pool.
type socketCount struct{ open, most atomic.Int32 }

func (s *socketCount) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n := s.open.Add(1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	return &countedSocket{Conn: c, done: sync.OnceFunc(func() { s.open.Add(-1) })}, nil
}

type countedSocket struct {
	net.Conn
	done func()
}

func (c *countedSocket) Close() error {
	c.done()
	return c.Conn.Close()
}

// Each operation appends a message of its own, and is not repeated. The server
// hangs up on everybody every second, or crashes. HOTLINE_IMAP_KICKS sets the length.
func TestDovecotUnderKicks(t *testing.T) {
	length := 10 * time.Second
	if s := os.Getenv("HOTLINE_IMAP_KICKS"); s != "" {
		var err error
		length, err = time.ParseDuration(s)
		require.NoError(t, err)
	} else if testing.Short() {
		length = 3 * time.Second
	}
	d := startDovecot(t, 50)
	const maxOpen, workers = 4, 8
	var sockets socketCount
	config := d.config(imap.Implicit)
	config.Dial = sockets.dial
	p, err := pool.New[*imap.Conn](d.connector(config), pool.Config{MaxOpen: maxOpen})
	require.NoError(t, err)
	defer p.Close()

	var mu sync.Mutex
	outcome := map[string]error{}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("op-%d-%d", w, n)
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				err := p.Do(ctx, func(_ context.Context, c *imap.Conn) error { return appendAndRead(c, id) })
				cancel()
				mu.Lock()
				outcome[id] = err
				mu.Unlock()
			}
		})
	}
	gentle := false
	kicks := time.NewTicker(time.Second)
	defer kicks.Stop()
	for end := time.After(length); ; {
		select {
		case <-kicks.C:
			if gentle = !gentle; gentle {
				d.Kick()
			} else {
				d.Kill()
			}
			continue
		case <-end:
		}
		break
	}
	close(stop)
	all.Wait()
	require.NoError(t, p.Close())

	assert.LessOrEqual(t, sockets.most.Load(), int32(maxOpen))
	assert.Zero(t, sockets.open.Load(), "sockets were left")
	wantGoroutines(t, 0)
	stored := d.subjects()
	failed := 0
	for id, err := range outcome {
		if err == nil {
			assert.Equal(t, 1, stored[id], "%s succeeded", id)
			continue
		}
		failed++
		assert.LessOrEqual(t, stored[id], 1, "%s failed: %v", id, err)
		_, throttled := driver.RetryAfter(err)
		var acquire *pool.AcquireError
		assert.True(t, driver.IsBad(err) || throttled || errors.As(err, &acquire), "%s has no class: %v", id, err)
	}
	t.Logf("%d operations, %d failed, %d connects, %d sockets at most", len(outcome), failed, p.Stats().Connects, sockets.most.Load())
	assert.Greater(t, len(outcome), 10)
}

// appendAndRead appends a message with that subject, and reads another one.
func appendAndRead(c *imap.Conn, subject string) error {
	if err := appendMail(c, "Subject: "+subject+"\r\n\r\nhello\r\n"); err != nil {
		return err
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		return nil // what counts was done
	}
	_ = c.Fetch(goimap.SeqSetNum(1), body).Close()
	return nil
}

// subjects counts the subjects in the INBOX.
func (d *dovecot) subjects() map[string]int {
	d.t.Helper()
	c := d.dial(imap.None)
	defer c.Close()
	selected, err := c.Select("INBOX", nil).Wait()
	require.NoError(d.t, err)
	section := &goimap.FetchItemBodySection{Specifier: goimap.PartSpecifierHeader, Peek: true}
	messages, err := c.Fetch(goimap.SeqSet{{Start: 1, Stop: selected.NumMessages}}, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
	require.NoError(d.t, err)
	count := map[string]int{}
	subject := regexp.MustCompile(`Subject: (\S+)`)
	for _, m := range messages {
		count[subject.FindStringSubmatch(string(m.FindBodySection(section)))[1]]++
	}
	return count
}

// A restart under load: nothing fails for longer than the server is away.
func TestDovecotRestartsUnderLoad(t *testing.T) {
	d := startDovecot(t, 50)
	p, err := pool.New[*imap.Conn](d.connector(d.config(imap.Implicit)), pool.Config{MaxOpen: 4})
	require.NoError(t, err)
	defer p.Close()
	noop := func() error {
		return p.Do(bounded(t, 10*time.Second), func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() })
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var acquire *pool.AcquireError
				if err := noop(); err != nil && !errors.As(err, &acquire) {
					assert.True(t, driver.IsBad(err), "%v", err)
				}
			}
		})
	}
	require.NoError(t, noop())
	d.Stop()
	d.Start()
	require.Eventually(t, func() bool { return noop() == nil }, 5*time.Second, time.Millisecond)
	close(stop)
	load.Wait()
	require.NoError(t, p.Close())
	wantGoroutines(t, 0)
}
