package imap_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

// answering serves each connection. It answers commands with the lines that answer
// returns, which may be pauses.
func answering(caps string, answer func(command string) []string) func(net.Listener) {
	return func(l net.Listener) {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { // ends with the connection
				defer c.Close()
				fmt.Fprintf(c, "* PREAUTH [CAPABILITY IMAP4rev1 %s] hi\r\n", caps)
				tag := ""
				for in := bufio.NewScanner(c); in.Scan(); {
					command := in.Text()
					if command != "DONE" {
						tag, command, _ = strings.Cut(command, " ")
					}
					for _, line := range answer(command) {
						if pause, err := time.ParseDuration(line); err == nil {
							<-time.After(pause)
							continue
						}
						fmt.Fprintf(c, "%s\r\n", strings.Replace(line, "TAG", tag, 1))
					}
				}
			}()
		}
	}
}

// quiet fails the test if fn is called within d.
func (w *watched) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-w.calls:
		t.Fatal("fn was called")
	case err := <-w.done:
		t.Fatalf("Watch returned %v", err)
	case <-time.After(d):
	}
}

func TestWatchIgnoresARepeatedNumber(t *testing.T) {
	for _, idle := range [][]string{
		{"+ idling", "* 5 EXISTS"},
		{"* 5 EXISTS", "TAG NO not now"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var messages atomic.Int64
			messages.Store(5)
			w := startWatch(t, answering("IDLE", func(command string) []string {
				if command == "IDLE" {
					return idle
				}
				return []string{fmt.Sprintf("* %d EXISTS", messages.Load()), "TAG OK"}
			}))
			w.wantCall(t, nil)
			w.quiet(t, time.Hour)
			messages.Store(6)
			news := w.wantCall(t, nil)
			require.Len(t, news, 1)
			assert.EqualValues(t, 6, *news[0].NumMessages)
		})
	}
}

// A server without IDLE reports news in the answer to a NOOP.
func TestWatchPollsWithoutIDLE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noops := 0
		w := startWatch(t, func(l net.Listener) {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprint(c, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
			buffer := make([]byte, 4096)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return
				}
				tag, command, _ := strings.Cut(string(buffer[:n]), " ")
				if strings.HasPrefix(command, "NOOP") {
					noops++
					if noops == 4 { // one after each call, and one a minute
						fmt.Fprint(c, "* 7 EXISTS\r\n* 2 EXPUNGE\r\n* 3 FETCH (FLAGS (\\Seen))\r\n")
					}
				}
				fmt.Fprintf(c, "%s OK done\r\n", tag)
			}
		})
		w.wantCall(t, nil)
		began := time.Now()
		news := w.wantCall(t, nil)
		assert.Equal(t, 3*time.Minute, time.Since(began))
		require.GreaterOrEqual(t, len(news), 2)
		assert.EqualValues(t, 7, *news[0].NumMessages)
		assert.EqualValues(t, 2, news[1].Expunged)
		w.cancel()
		<-w.done
	})
}

// The number of messages may be the same again because fn has removed some.
func TestWatchMissesNoMessageAfterARemoval(t *testing.T) {
	for name, remove := range map[string]use{
		"EXPUNGE":     func(c *imap.Conn) error { return c.Expunge().Close() },
		"UID EXPUNGE": func(c *imap.Conn) error { return c.UIDExpunge(goimap.UIDSetNum(1)).Close() },
		"CLOSE and SELECT": func(c *imap.Conn) error {
			if err := c.UnselectAndExpunge().Wait(); err != nil {
				return err
			}
			_, err := c.Select("INBOX", nil).Wait()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				removed, noops := false, 0
				w := startWatch(t, answering("IDLE", func(command string) []string {
					switch {
					case strings.HasSuffix(command, "EXPUNGE"), strings.HasPrefix(command, "UID EXPUNGE"):
						removed = true
						return []string{"* 5 EXISTS", "* 1 EXPUNGE", "TAG OK"}
					case command == "CLOSE":
						removed = true
					case command == "SELECT INBOX" && !removed:
						return []string{"* 5 EXISTS", "TAG OK"}
					case command == "SELECT INBOX":
						return []string{"* 4 EXISTS", "TAG OK"}
					case command == "NOOP" && removed:
						if noops++; noops <= 2 { // one message came, and another after the next fn
							return []string{"* 5 EXISTS", "TAG OK"}
						}
					case command == "IDLE":
						return []string{"+ idling"}
					}
					return []string{"TAG OK"}
				}))
				w.wantCallFor(t, remove)
				assert.NotEmpty(t, w.wantCall(t, nil))
				assert.NotEmpty(t, w.wantCall(t, nil), "the number may have been reported before the removal")
				w.quiet(t, time.Hour)
			})
		})
	}
}

func TestWatchPollsIfIDLEIsRefused(t *testing.T) {
	for _, refusal := range []string{"TAG NO IDLE is switched off", "TAG BAD what", "TAG OK it is over"} {
		t.Run(refusal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				idles, noops := 0, 0
				w := startWatch(t, answering("IDLE", func(command string) []string {
					switch command {
					case "IDLE":
						idles++
						return []string{refusal}
					case "NOOP":
						if noops++; noops == 5 { // one after the call, one after IDLE, and one a minute
							return []string{"* 7 EXISTS", "TAG OK"}
						}
					}
					return []string{"TAG OK"}
				}))
				w.wantCall(t, nil)
				began := time.Now()
				assert.Len(t, w.wantCall(t, nil), 1)
				assert.Equal(t, 3*time.Minute, time.Since(began))
				assert.Equal(t, 1, idles)
			})
		})
	}
}

// go-imap does not notice, and would send a DONE outside an IDLE.
func TestWatchNoticesThatTheServerHasEndedIDLE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connections, idles, come := 0, 0, false
		w := startWatch(t, answering("IDLE", func(command string) []string {
			switch {
			case strings.HasPrefix(command, "SELECT"):
				connections++
			case command == "IDLE":
				idles++
				come = true
				return []string{"+ idling", "1s", "TAG OK IDLE ended, it took too long"}
			case command == "NOOP" && come:
				come = false
				return []string{fmt.Sprintf("* %d EXISTS", idles), "TAG OK"}
			case command == "DONE":
				return []string{"DONE BAD what"}
			}
			return []string{"TAG OK"}
		}))
		w.wantCall(t, nil)
		for n := range uint32(10) {
			began := time.Now()
			news := w.wantCall(t, nil)
			require.Len(t, news, 1)
			assert.Equal(t, n+1, *news[0].NumMessages)
			assert.Equal(t, 30*time.Second, time.Since(began))
		}
		assert.Equal(t, 1, connections)
		w.cancel()
		<-time.After(time.Second) // for the server's goroutine
	})
}

func TestWatchReplacesAConnectionWhoseCredentialsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, _, config := inMemory(t, 0)
		config.User, config.Password = "", ""
		config.Credentials = func(context.Context, error) (imap.Credentials, error) {
			return imap.Credentials{User: account, Password: password, Expiry: time.Now().Add(time.Hour)}, nil
		}
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		p, err := pool.New[*imap.Conn](connector, pool.Config{MaxLifetime: -1})
		require.NoError(t, err)
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		calls := 0
		err = imap.Watch(ctx, p, "INBOX", func(context.Context, *imap.Conn, []imap.Update) error {
			calls++
			return nil
		})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3, mail.Logins())
		assert.Equal(t, 3, calls)
	})
}

// The mailbox may exist a moment later.
func TestWatchSelectsAMissingMailboxAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		selects := 0
		w := startWatch(t, answering("IDLE", func(command string) []string {
			switch {
			case strings.HasPrefix(command, "SELECT"):
				if selects++; selects == 1 {
					return []string{"TAG NO [NONEXISTENT] Unknown mailbox"}
				}
			case command == "IDLE":
				return []string{"+ idling"}
			}
			return []string{"TAG OK"}
		}))
		w.wantCall(t, nil)
		assert.Equal(t, 2, selects)
	})
}

// An answer that costs the connection is still an answer.
func TestWatchEndsWithAnAnswerThatCostsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWatch(t, answering("UNSELECT", func(command string) []string {
			if strings.HasPrefix(command, "APPEND") {
				return []string{"TAG NO [TRYCREATE] no such mailbox"}
			}
			return []string{"TAG OK"}
		}))
		w.wantCallFor(t, func(c *imap.Conn) error {
			a := c.Append("Missing", 5, nil)
			a.Close()
			_, err := a.Wait()
			return err
		})
		err := <-w.done
		assert.ErrorContains(t, err, "TRYCREATE")
		assert.True(t, driver.IsBad(err))
	})
}

// If there is always news, Watch never waits for any.
func TestWatchResetsItsBackoffWhenAConnectionHasLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages := 0
		w := startWatch(t, answering("IDLE", func(command string) []string {
			if command == "NOOP" {
				messages++
				return []string{fmt.Sprintf("* %d EXISTS", messages), "TAG OK"}
			}
			return []string{"TAG OK"}
		}))
		w.wantCall(t, nil)
		w.nw.Refuse(true)
		w.nw.Cut()
		w.wantCall(t, nil) // of the connection that was cut
		<-time.After(10 * time.Minute)
		w.nw.Refuse(false)
		for range 5 {
			w.wantCallFor(t, func(*imap.Conn) error { <-time.After(time.Minute); return nil })
		}
		w.wantCall(t, nil)
		w.nw.Cut()
		began := time.Now()
		for len(w.wantCall(t, nil)) > 0 { // of the connection that was cut
		}
		assert.Less(t, time.Since(began), 5*time.Second)
	})
}
