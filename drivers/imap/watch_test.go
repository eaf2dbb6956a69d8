package imap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// watched is a Watch in the fake time of a bubble.
type watched struct {
	nw     memnet.Network
	mail   *testserver.IMAP
	pool   *pool.Pool[*imap.Conn]
	calls  chan []imap.Update // the news of each call of fn
	answer chan use           // how fn uses its connection
	done   chan error
	cancel func()
}

// use is a function that uses a connection.
type use func(*imap.Conn) error

// startWatch watches INBOX on the server serve, or on a healthy one if serve is nil.
func startWatch(t *testing.T, serve func(net.Listener)) *watched {
	w := &watched{mail: testserver.NewIMAP(account, password), calls: make(chan []imap.Update), answer: make(chan use), done: make(chan error, 1)}
	if serve == nil {
		serve = w.mail.Serve
	}
	server, err := testserver.Start(w.nw.Listen, "localhost:143", serve)
	require.NoError(t, err)
	config, err := imap.ParseDSN(plainDSN("localhost", "?tls=none"))
	require.NoError(t, err)
	config.TCP.Dial = w.nw.DialContext
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	w.pool, err = pool.New[*imap.Conn](connector, pool.Config{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() {
		w.done <- imap.Watch(ctx, w.pool, "INBOX", func(ctx context.Context, c *imap.Conn, news []imap.Update) error {
			assert.Equal(t, "INBOX", c.Mailbox())
			select {
			case w.calls <- news:
				return (<-w.answer)(c)
			case <-ctx.Done(): // the test is over
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		w.pool.Close()
		server.Close()
	})
	return w
}

// wantCall waits for a call of fn and lets it return err.
func (w *watched) wantCall(t *testing.T, err error) []imap.Update {
	t.Helper()
	return w.wantCallFor(t, func(*imap.Conn) error { return err })
}

// wantCallFor waits for a call of fn and lets it do f.
func (w *watched) wantCallFor(t *testing.T, f use) []imap.Update {
	t.Helper()
	select {
	case news := <-w.calls:
		w.answer <- f
		synctest.Wait()
		return news
	case err := <-w.done:
		t.Fatalf("Watch returned %v", err)
	case <-time.After(time.Hour):
		t.Fatal("fn was not called within an hour")
	}
	return nil
}

func TestWatchReportsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWatch(t, nil)
		assert.Empty(t, w.wantCall(t, nil), "the first call")
		assert.Equal(t, 1, w.pool.Stats().Leased)
		for n := uint32(1); n <= 3; n++ {
			began := time.Now()
			require.NoError(t, w.mail.Append("INBOX", message(10)))
			news := w.wantCall(t, nil)
			require.Len(t, news, 1)
			assert.Equal(t, n, *news[0].NumMessages)
			assert.Less(t, time.Since(began), time.Second)
		}
	})
}

func TestWatchGoesOnForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWatch(t, nil)
		w.wantCall(t, nil)
		<-time.After(3 * time.Hour) // the pool replaces it after 4
		require.NoError(t, w.mail.Append("INBOX", message(10)))
		assert.Len(t, w.wantCall(t, nil), 1)
		assert.Equal(t, 1, w.mail.Logins())
	})
}

func TestWatchReplacesALostConnection(t *testing.T) {
	for _, loss := range []struct {
		name string
		lose func(w *watched)
		in   time.Duration // how soon it must be found
	}{
		{"farewell", func(w *watched) { w.mail.Bye("Server shutting down.") }, 5 * time.Second},
		{"reset", func(w *watched) { w.nw.Cut() }, 5 * time.Second},
		{"silence", func(w *watched) {
			w.nw.Silence(true)
			time.AfterFunc(4*time.Minute+20*time.Second, func() { w.nw.Silence(false) })
		}, 5 * time.Minute},
	} {
		t.Run(loss.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := startWatch(t, nil)
				w.wantCall(t, nil)
				began := time.Now()
				loss.lose(w)
				assert.Empty(t, w.wantCall(t, nil), "it can't know what it has missed")
				assert.Less(t, time.Since(began), loss.in)
				assert.Equal(t, 2, w.mail.Logins())
			})
		})
	}
}

func TestWatchSpacesOutItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWatch(t, nil)
		w.wantCall(t, nil)
		w.nw.Refuse(true)
		w.nw.Cut()
		before := w.nw.Stats().Dials
		<-time.After(10 * time.Minute)
		dials := w.nw.Stats().Dials - before
		assert.True(t, 8 <= dials && dials <= 20, "%d dials in 10 minutes", dials)
		w.nw.Refuse(false)
		w.wantCall(t, nil)
		<-time.After(5 * time.Minute)
		began := time.Now()
		w.nw.Cut()
		w.wantCall(t, nil)
		assert.Less(t, time.Since(began), 5*time.Second, "a wait that has succeeded ends the backoff")
	})
}

// hadNone is the error of a caller that got no connection.
type hadNone struct{}

func (hadNone) Error() string     { return "no connection" }
func (hadNone) SafeToRetry() bool { return true }

func TestWatchSpacesOutTheFailuresOfItsFunction(t *testing.T) {
	attempts := []error{io.EOF, hadNone{}}
	twice := retry.Policy{MaxAttempts: 2, Interval: -1, RetryIf: retry.Always}.Do(t.Context(), func(context.Context) error {
		err := attempts[0]
		attempts = attempts[1:]
		return err
	})
	require.False(t, driver.IsBad(twice) || driver.SafeToRetry(twice))
	notNow := fmt.Errorf("select: %w", &goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeUnavailable})
	for _, failure := range []error{hadNone{}, twice, notNow, driver.Throttled(errors.New("busy"), time.Second), io.ErrUnexpectedEOF} {
		t.Run(failure.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := startWatch(t, nil)
				w.wantCall(t, nil)
				began, calls := time.Now(), 0
				require.NoError(t, w.mail.Append("INBOX", message(1)))
				for ; time.Since(began) < 10*time.Minute; calls++ {
					w.wantCall(t, failure)
				}
				assert.True(t, 8 <= calls && calls <= 20, "%d calls in 10 minutes", calls)
				w.wantCall(t, nil)
				require.NoError(t, w.mail.Append("INBOX", message(1)))
				w.wantCall(t, failure)
				began = time.Now()
				w.wantCall(t, nil)
				assert.Less(t, time.Since(began), 5*time.Second, "a success ends the backoff")
			})
		})
	}
}

func TestWatchWaitsAsLongAsTheServerWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWatch(t, nil)
		w.wantCall(t, nil)
		w.mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeBye, Text: "Too many connections, Suggested Backoff Time: 90000 milliseconds"})
		w.nw.Cut()
		began := time.Now()
		<-time.After(20 * time.Second)
		w.mail.Refuse(nil)
		w.wantCall(t, nil)
		assert.GreaterOrEqual(t, time.Since(began), 90*time.Second)
	})
}

// doer is the Do of a pool.
type doer func(ctx context.Context, fn func(context.Context, *imap.Conn) error) error

func (d doer) Do(ctx context.Context, fn func(context.Context, *imap.Conn) error) error {
	return d(ctx, fn)
}

// A pool may not know the pause, or may not support pauses.
func TestWatchDoesNotCallThePoolBeforeThePauseIsOver(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		gaps []time.Duration // minimum times between attempts
	}{
		{"a pause of the server", driver.Throttled(errors.New("busy"), 90*time.Second), []time.Duration{90 * time.Second, 90 * time.Second, 90 * time.Second}},
		{"no pause", errors.New("down"), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{"a short pause", driver.Throttled(errors.New("busy"), time.Millisecond), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				last, gaps := time.Now(), []time.Duration{}
				err := imap.Watch(ctx, doer(func(context.Context, func(context.Context, *imap.Conn) error) error {
					gaps = append(gaps, time.Since(last))
					last = time.Now()
					if len(gaps) > len(tc.gaps) {
						cancel()
					}
					return tc.err
				}), "INBOX", nil)
				assert.ErrorIs(t, err, context.Canceled)
				for i, want := range tc.gaps {
					assert.True(t, want <= gaps[i+1] && gaps[i+1] <= want*3/2, "attempt %d came after %v, want %v", i+1, gaps[i+1], want)
				}
			})
		})
	}
}

func TestWatchEnds(t *testing.T) {
	boom := errors.New("boom")
	t.Run("by its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWatch(t, nil)
			w.wantCall(t, nil)
			w.cancel()
			assert.ErrorIs(t, <-w.done, context.Canceled)
			synctest.Wait()
			assert.Zero(t, w.pool.Stats().Leased)
		})
	})
	t.Run("by its context, if p does not bind", func(t *testing.T) {
		_, server := mailbox(t)
		c := dial(t, plainDSN(server.Addr(), "?tls=none"))
		ctx, cancel := context.WithCancel(t.Context())
		bare := doer(func(ctx context.Context, fn func(context.Context, *imap.Conn) error) error { return fn(ctx, c) })
		within(t, "Watch", func() {
			err := imap.Watch(ctx, bare, "INBOX", func(context.Context, *imap.Conn, []imap.Update) error {
				cancel()
				return nil
			})
			assert.ErrorIs(t, err, context.Canceled)
		})
	})
	t.Run("by its context, without a server", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWatch(t, nil)
			w.wantCall(t, nil)
			w.nw.Refuse(true)
			w.nw.Cut()
			<-time.After(time.Minute)
			w.cancel()
			err := <-w.done
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorContains(t, err, "connection refused", "the reason why it could not watch")
		})
	})
	t.Run("by its function", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWatch(t, nil)
			w.wantCall(t, boom)
			assert.ErrorIs(t, <-w.done, boom)
		})
	})
	t.Run("by a wrong password", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWatch(t, nil)
			w.wantCall(t, nil)
			w.mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed})
			w.nw.Cut()
			assert.True(t, driver.IsPermanent(<-w.done))
		})
	})
	t.Run("by a missing mailbox", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began, selects := time.Now(), 0
			w := startWatch(t, answering("UNSELECT", func(command string) []string {
				if command == "SELECT INBOX" {
					selects++
				}
				return []string{"TAG NO [NONEXISTENT] Unknown mailbox"}
			}))
			err := <-w.done
			assert.True(t, driver.IsPermanent(err))
			assert.ErrorContains(t, err, `imap: mailbox "INBOX"`)
			assert.Equal(t, 2, selects, "a server that is starting may not have it yet")
			assert.Less(t, time.Since(began), 4*time.Second)
		})
	})
	t.Run("with the pool", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWatch(t, nil)
			w.wantCall(t, nil)
			w.pool.Close()
			w.nw.Cut()
			assert.ErrorIs(t, <-w.done, pool.ErrClosed)
		})
	})
}
