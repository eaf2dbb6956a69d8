//go:build linux

package imap_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
	"github.com/hotline-go/hotline/pool"
)

// Each operation appends its own message, and is not repeated. Every second the server
// hangs up on everybody or crashes. HOTLINE_IMAP_KICKS sets the length.
func TestRealServersUnderKicks(t *testing.T) {
	const maxOpen, workers = 4, 8
	manyLogins := mailserver.Options{MaxLogins: 10_000} // Cyrus counts crashed sessions
	onServers(t, manyLogins, func(t *testing.T, s *realServer) {
		way := newDoor(t, s.TLS)
		config := s.config(imap.Implicit)
		var sockets sockets
		config.TCP.Address, config.TCP.Dial = way.address, sockets.dial
		p, err := pool.New[*imap.Conn](s.connector(config), pool.Config{MaxOpen: maxOpen})
		require.NoError(t, err)
		defer p.Close()
		require.NoError(t, p.Do(soon(t), func(_ context.Context, c *imap.Conn) error { return appendAndRead(c, "first") }),
			"Dovecot creates the INBOX at its first use, and fails if two sessions use it at that moment")

		outcome := outcomes{of: map[string]error{}}
		stop := make(chan struct{})
		var load sync.WaitGroup
		for w := range workers {
			load.Go(func() { outcome.fill(t, p, fmt.Sprint("worker-", w), stop) })
		}
		kickFor(t, s, kickTime(t, s))
		close(stop)
		load.Wait()
		require.NoError(t, p.Close())

		open, most := way.counts()
		assert.Zero(t, open, "connections were left")
		assert.Zero(t, sockets.open.Load(), "sockets were left")
		assert.LessOrEqual(t, most, maxOpen, "connections at the server")
		require.Eventually(t, func() bool { return s.Sessions() == 0 }, 5*time.Second, 10*time.Millisecond, "sessions were left")
		wantGoroutines(t, 0)
		failed := outcome.check(t, s.subjects())
		t.Logf("%d operations, %d failed, %d connects, at most %d connections at the server", len(outcome.of), failed, p.Stats().Connects, most)
	})
}

// kickTime returns how long to kick s.
func kickTime(t *testing.T, s *realServer) time.Duration {
	if text := os.Getenv("HOTLINE_IMAP_KICKS"); text != "" {
		length, err := time.ParseDuration(text)
		require.NoError(t, err)
		return length
	}
	if testing.Short() {
		return 3 * time.Second
	}
	return s.kicks
}

// kickFor ends all sessions every second, alternating between gently and abruptly.
func kickFor(t *testing.T, s *realServer, length time.Duration) {
	ctx := bounded(t, length)
	kicks := time.NewTicker(time.Second)
	defer kicks.Stop()
	for end := []func(){s.Kick, s.Kill}; ; end[0], end[1] = end[1], end[0] {
		select {
		case <-kicks.C:
			end[0]()
		case <-ctx.Done():
			return
		}
	}
}

// outcomes are the results of operations, by the subjects of their messages.
type outcomes struct {
	mu sync.Mutex // guards of, while operations run
	of map[string]error
}

// failurePause is how long a worker waits after a failure: a pool that can't connect may
// fail at once, and each outcome is kept.
const failurePause = 5 * time.Millisecond

// fill runs operations until stop is closed. None may fail permanently.
func (o *outcomes) fill(t *testing.T, p *pool.Pool[*imap.Conn], name string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		subject := fmt.Sprintf("%s-%d", name, n)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := p.Do(ctx, func(_ context.Context, c *imap.Conn) error { return appendAndRead(c, subject) })
		cancel()
		o.mu.Lock()
		o.of[subject] = err
		o.mu.Unlock()
		if driver.IsPermanent(err) {
			assert.NoError(t, err, "%s failed permanently", subject)
			return
		}
		if err != nil {
			<-time.After(failurePause)
		}
	}
}

// check compares the outcomes with the stored messages, and returns how many operations
// failed.
func (o *outcomes) check(t *testing.T, stored map[string]int) (failed int) {
	require.Greater(t, len(o.of), 10)
	for subject, err := range o.of {
		if err == nil {
			assert.Equal(t, 1, stored[subject], "%s succeeded", subject)
			continue
		}
		failed++
		assert.LessOrEqual(t, stored[subject], 1, "%s failed: %v", subject, err)
		assert.True(t, hasClass(err), "%s failed: %v", subject, err)
	}
	return failed
}

// hasClass reports whether the class of err is known.
func hasClass(err error) bool {
	var acquire *pool.AcquireError
	var answer *goimap.Error // from a Dovecot whose locking was interrupted by a kick
	_, throttled := driver.RetryAfter(err)
	return driver.IsBad(err) || throttled || errors.As(err, &acquire) ||
		errors.As(err, &answer) && answer.Code == goimap.ResponseCodeServerBug
}

// appendAndRead appends a message with the subject, and reads a message.
func appendAndRead(c *imap.Conn, subject string) error {
	if err := appendMail(c, "Subject: "+subject+"\r\n\r\nhello\r\n"); err != nil {
		return err
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		return nil // the append succeeded
	}
	_ = c.Fetch(goimap.SeqSetNum(1), body).Close()
	return nil
}

// subjects counts the subjects in the INBOX.
func (s *realServer) subjects() map[string]int {
	s.t.Helper()
	c := s.dial(imap.None)
	defer c.Close()
	selected, err := c.Select("INBOX", nil).Wait()
	require.NoError(s.t, err)
	section := &goimap.FetchItemBodySection{Specifier: goimap.PartSpecifierHeader, Peek: true}
	messages, err := c.Fetch(goimap.SeqSet{{Start: 1, Stop: selected.NumMessages}}, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
	require.NoError(s.t, err)
	count := map[string]int{}
	subject := regexp.MustCompile(`Subject: (\S+)`)
	for _, m := range messages {
		count[subject.FindStringSubmatch(string(m.FindBodySection(section)))[1]]++
	}
	return count
}

// A restart under load: operations fail only while the server is down.
func TestRealServersRestartUnderLoad(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		// With a longer backoff, the end of the outage would be noticed late if the server
		// takes long to start.
		p, err := pool.New[*imap.Conn](s.connector(s.config(imap.Implicit)), pool.Config{MaxOpen: 4, Backoff: pool.Backoff{Max: 500 * time.Millisecond}})
		require.NoError(t, err)
		defer p.Close()
		noop := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return p.Do(ctx, func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() })
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
		s.Stop()
		s.Start()
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, noop()) }, 5*time.Second, time.Millisecond)
		close(stop)
		load.Wait()
		require.NoError(t, p.Close())
		wantGoroutines(t, 0)
	})
}
