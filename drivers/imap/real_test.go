//go:build linux

package imap_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
	"github.com/hotline-go/hotline/internal/testclock"
	"github.com/hotline-go/hotline/pool"
)

func TestRealServersLetUsIn(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		for _, tc := range []struct{ encryption, auth, want string }{
			{imap.Implicit, "", "PLAIN"},
			{imap.StartTLS, "", "PLAIN"},
			{imap.Implicit, "LOGIN", "LOGIN"},
			{imap.StartTLS, "SCRAM-SHA-256", "SCRAM-SHA-256"},
			{imap.None, "", "SCRAM-SHA-256"},
		} {
			t.Run(tc.encryption+" "+tc.auth, func(t *testing.T) {
				config := s.config(tc.encryption)
				config.Auth = tc.auth
				c, err := connectTo(t, s.connector(config))
				require.NoError(t, err)
				assert.Equal(t, tc.want, c.Mechanism())
				assert.True(t, c.Caps().Has(goimap.CapUnselect))
				require.NoError(t, c.Ping(soon(t)))
				id, err := c.ID(&goimap.IDData{Name: "test"}).Wait()
				require.NoError(t, err)
				assert.Equal(t, s.name, id.Name)
			})
		}
	})
}

func TestRealServersKeepAndFindMail(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		s.fill(2, 100_000)
		c := s.dial(imap.Implicit)
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
	})
}

// go-imap closes a connection if a message is refused before it was sent.
func TestRealServersRefuseAMessage(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		c := s.dial(imap.Implicit)
		a := c.Append("Missing", 5000, nil)
		_, err := a.Write([]byte("Subject"))
		assert.ErrorContains(t, err, "TRYCREATE")
		assert.ErrorContains(t, a.Close(), "TRYCREATE")
		_, err = a.Wait()
		assert.ErrorContains(t, err, "TRYCREATE")
		assert.False(t, c.IsValid())
	})
}

func TestRealServersGetAWrongPasswordOnce(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		config := s.config(imap.Implicit)
		config.Password = "wrong"
		p, err := pool.New[*imap.Conn](s.connector(config), pool.Config{MinIdle: 3, MaxConnecting: 1})
		require.NoError(t, err)
		defer p.Close()
		for range 20 {
			_, err = p.Acquire(bounded(t, 10*time.Second))
			require.ErrorContains(t, err, s.refusal)
			assert.True(t, driver.IsPermanent(err))
		}
		assert.EqualValues(t, 1, p.Stats().Connects)
	})
}

func TestRealServersAreFull(t *testing.T) {
	onServers(t, mailserver.Options{MaxLogins: 3}, func(t *testing.T, s *realServer) {
		var open []*imap.Conn
		for range 3 {
			open = append(open, s.dial(imap.Implicit))
		}
		_, err := connectTo(t, s.connector(s.config(imap.Implicit)))
		require.ErrorContains(t, err, s.full)
		pause, ok := driver.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, time.Second, pause)
		assert.True(t, driver.IsFull(err))
		assert.False(t, driver.IsPermanent(err))
		open[0].Close()
		require.Eventually(t, func() bool {
			_, err := connectTo(t, s.connector(s.config(imap.Implicit)))
			return err == nil
		}, 5*time.Second, 10*time.Millisecond, "a connection that logs out makes room")
	})
}

func TestRealServersHangUp(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		for _, tc := range []struct {
			name     string
			do       func()
			farewell string
		}{
			{"kick", s.Kick, s.farewell},
			{"kill", s.Kill, ""},
			{"restart", func() { s.Stop(); s.Start() }, ""},
		} {
			t.Run(tc.name, func(t *testing.T) {
				p, err := pool.New[*imap.Conn](s.connector(s.config(imap.Implicit)), pool.Config{MaxOpen: 4})
				require.NoError(t, err)
				defer p.Close()
				var leases []pool.Lease[*imap.Conn]
				var conns []*imap.Conn
				for range 4 {
					l, err := p.Acquire(soon(t))
					require.NoError(t, err)
					leases, conns = append(leases, l), append(conns, l.Conn())
				}
				for _, l := range leases[1:] {
					l.Release()
				}
				tc.do()
				for _, c := range conns {
					ended(t, c)
				}
				l := leases[0]
				err = l.Conn().Noop().Wait()
				assert.True(t, driver.IsBad(err), "%v", err)
				if tc.farewell != "" {
					assert.ErrorContains(t, err, "imap: "+tc.farewell)
				}
				l.Discard(err)
				require.NoError(t, p.Do(soon(t), func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() }),
					"one call, with a pool full of dead connections")
			})
		}
		wantGoroutines(t, 0)
	})
}

func TestRealServersStopAnswering(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		pinged, bound, closed := s.dial(imap.Implicit), s.dial(imap.StartTLS), s.dial(imap.Implicit)
		s.Signal(syscall.SIGSTOP)
		defer s.Signal(syscall.SIGCONT)
		clock := testclock.Start(t)
		assert.ErrorIs(t, pinged.Ping(bounded(t, 100*time.Millisecond)), context.DeadlineExceeded)
		unbind := bound.Bind(bounded(t, 100*time.Millisecond))
		_, err := bound.Select("INBOX", nil).Wait()
		unbind()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, clock.Elapsed(), time.Second)
		began := time.Now()
		within(t, "Close", func() { closed.Close() })
		t.Log("Close took", time.Since(began))
		wantGoroutines(t, 0)
		t.Log("all took", time.Since(began))
	})
}

func TestRealServersAreNotExpungedByReset(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		s.fill(1, 10)
		c := s.dial(imap.Implicit)
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
	})
}

func TestRealServersAndAbandonedCommands(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		s.fill(600, 4<<20)
		other := s.dial(imap.None)
		require.NoError(t, other.Create("Other", nil).Wait())
		other.Close()
		for _, tc := range abandoned {
			if tc.name == "expunged messages" {
				continue // the other cases need them
			}
			for _, encryption := range []string{imap.None, imap.Implicit} {
				t.Run(tc.name+" "+encryption, func(t *testing.T) {
					var c *imap.Conn
					for slow := 0; ; slow++ {
						c = s.dial(encryption)
						_, err := c.Select("INBOX", nil).Wait()
						require.NoError(t, err)
						tc.leave(t, c)
						require.Equal(t, !tc.dead, c.IsValid())
						if tc.dead {
							break
						}
						began := time.Now()
						within(t, "ResetSession", func() { err = c.ResetSession(soon(t)) })
						if err == nil {
							break
						}
						require.GreaterOrEqual(t, time.Since(began), time.Second, "%v", err) // ResetSession has a second
						require.Less(t, slow, 3, "the server is repeatedly slow: %v", err)
						c.Close()
					}
					if !tc.dead {
						require.NoError(t, c.Noop().Wait())
						_, err := c.Search(&goimap.SearchCriteria{}, nil).Wait()
						require.Error(t, err, "no mailbox is selected at the server")
					}
					within(t, "Close", func() { c.Close() })
					wantGoroutines(t, 0)
				})
			}
		}
	})
}

func TestRealServersAreWatched(t *testing.T) {
	onServers(t, mailserver.Options{}, func(t *testing.T, s *realServer) {
		t.Parallel()
		p, err := pool.New[*imap.Conn](s.connector(s.config(imap.Implicit)), pool.Config{})
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
			require.NoError(t, appendMail(s.dial(imap.None), message(10)))
			assert.NotEmpty(t, <-calls)
			s.Kick()
			for news := <-calls; len(news) > 0; news = <-calls { // the rest of the news, then the loss of the connection
			}
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
	})
}
