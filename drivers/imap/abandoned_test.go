package imap_test

import (
	"context"
	"io"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
)

// abandoned lists things that a holder may leave behind. The mailbox has 600 messages
// of 10 bytes and one of 4 MB.
var abandoned = []struct {
	name  string
	leave func(t *testing.T, c *imap.Conn)
	// dead is set if the connection must be discarded.
	dead bool
}{
	{"many flags", func(_ *testing.T, c *imap.Conn) { c.Fetch(goimap.SeqSet{{Start: 1, Stop: 600}}, flags) }, false},
	{"few flags", func(_ *testing.T, c *imap.Conn) { c.Fetch(goimap.SeqSet{{Start: 1, Stop: 100}}, flags) }, false},
	{"a body", func(_ *testing.T, c *imap.Conn) { c.Fetch(goimap.SeqSetNum(1), body) }, false},
	{"a body that is partly read", func(t *testing.T, c *imap.Conn) {
		_, err := io.ReadFull(literalOf(t, c.Fetch(goimap.SeqSetNum(601), body).Next()), make([]byte, 1000))
		require.NoError(t, err)
	}, false},
	{"new flags", func(_ *testing.T, c *imap.Conn) {
		c.Store(goimap.SeqSet{{Start: 1, Stop: 600}}, &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Flags: []goimap.Flag{goimap.FlagSeen}}, nil)
	}, false},
	{"expunged messages", func(t *testing.T, c *imap.Conn) {
		deleted := &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Silent: true, Flags: []goimap.Flag{goimap.FlagDeleted}}
		require.NoError(t, c.Store(goimap.SeqSet{{Start: 1, Stop: 600}}, deleted, nil).Close())
		c.Expunge()
	}, false},
	{"a list", func(_ *testing.T, c *imap.Conn) { c.List("", "*", nil) }, false},
	{"a search", func(_ *testing.T, c *imap.Conn) { c.Search(&goimap.SearchCriteria{}, nil) }, false},
	{"a NOOP", func(_ *testing.T, c *imap.Conn) { c.Noop() }, false},
	{"a SELECT", func(_ *testing.T, c *imap.Conn) { c.Select("Other", nil) }, false},
	{"IDLE", func(t *testing.T, c *imap.Conn) { _, err := c.Idle(); require.NoError(t, err) }, false},
	{"an APPEND half written", func(t *testing.T, c *imap.Conn) {
		_, err := io.WriteString(c.Append("INBOX", 100, nil), "Subject: half")
		require.NoError(t, err)
	}, true},
	{"a short APPEND", func(t *testing.T, c *imap.Conn) {
		a := c.Append("INBOX", 100, nil)
		_, err := io.WriteString(a, "Subject: short")
		require.NoError(t, err)
		require.ErrorContains(t, a.Close(), "14 bytes of 100")
	}, true},
	{"an APPEND without a Wait", func(t *testing.T, c *imap.Conn) {
		a := c.Append("INBOX", 5, nil)
		_, err := io.WriteString(a, "a: b\n")
		require.NoError(t, err)
		require.NoError(t, a.Close())
	}, false},
}

var (
	flags = &goimap.FetchOptions{Flags: true}
	body  = &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Peek: true}}}
)

func bigMailbox(t *testing.T) string {
	messages := make([]string, 601)
	for i := range messages {
		messages[i] = message(10)
	}
	messages[600] = message(4 << 20)
	mail, server := mailbox(t, messages...)
	require.NoError(t, mail.Create("Other"))
	return plainDSN(server.Addr(), "?tls=none")
}

func TestAbandonedCommandsDoNotReachTheNextHolder(t *testing.T) {
	for _, tc := range abandoned {
		t.Run(tc.name, func(t *testing.T) {
			dsn := bigMailbox(t)
			c := dial(t, dsn)
			_, err := c.Select("INBOX", nil).Wait()
			require.NoError(t, err)
			tc.leave(t, c)
			within(t, "IsValid", func() { assert.Equal(t, !tc.dead, c.IsValid()) })
			within(t, "ResetSession", func() {
				err := c.ResetSession(soon(t))
				if tc.dead {
					assert.Error(t, err)
					return
				}
				require.NoError(t, err)
				assert.Empty(t, c.Mailbox())
				require.NoError(t, c.Noop().Wait())
			})
			if !tc.dead {
				wantGoroutines(t, 1)
			}
			within(t, "Close", func() { c.Close() })
			wantGoroutines(t, 0)
		})
	}
}

func TestCloseFreesAbandonedCommands(t *testing.T) {
	for _, tc := range abandoned {
		t.Run(tc.name, func(t *testing.T) {
			dsn := bigMailbox(t)
			c := dial(t, dsn)
			_, err := c.Select("INBOX", nil).Wait()
			require.NoError(t, err)
			tc.leave(t, c)
			within(t, "Close", func() { require.NoError(t, c.Close()) })
			assert.False(t, c.IsValid())
			wantGoroutines(t, 0)
		})
	}
}

// A command that waits behind an abandoned one ends with its context.
func TestAContextEndsAWaitBehindAnAbandonedCommand(t *testing.T) {
	for _, tc := range abandoned {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, bigMailbox(t))
			ctx, cancel := context.WithCancel(t.Context())
			unbind := c.Bind(ctx)
			_, err := c.Select("INBOX", nil).Wait()
			require.NoError(t, err)
			tc.leave(t, c)
			waiting := make(chan error, 1)
			go func() { waiting <- c.Noop().Wait() }() // ends when ctx does
			cancel()
			within(t, "Noop", func() { <-waiting })
			within(t, "unbind", unbind)
			assert.False(t, c.IsValid())
		})
	}
}

// The same with a message that another goroutine is reading, for the race detector.
func TestAContextEndsAFetchThatIsBeingRead(t *testing.T) {
	c := dial(t, bigMailbox(t))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer c.Bind(ctx)()
	fetch := c.Fetch(goimap.SeqSet{{Start: 1, Stop: 601}}, body)
	within(t, "the fetch", func() {
		for n := 1; ; n++ {
			m := fetch.Next()
			if n == 300 {
				cancel()
			}
			if m == nil {
				break
			}
			_, _ = m.Collect()
		}
		assert.ErrorIs(t, fetch.Close(), context.Canceled)
	})
}

// The number zero makes go-imap stop reading an answer to EXPUNGE.
func TestAnAnswerToEXPUNGEIsReadBeyondAZero(t *testing.T) {
	for _, finish := range []func(c *imap.Conn) error{
		func(c *imap.Conn) error { _, err := c.Expunge().Collect(); return err },
		func(c *imap.Conn) error { c.UIDExpunge(goimap.UIDSetNum(1)); return c.ResetSession(t.Context()) },
	} {
		zeros := strings.Repeat("* 0 EXPUNGE\r\n", 2) + strings.Repeat("* 1 EXPUNGE\r\n", 300) // more than the 128 that go-imap buffers
		c := dial(t, plainDSN(script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: EXPUNGE", zeros+"TAG OK gone\r\n", "C: NOOP", "TAG OK\r\n"), "?tls=none"))
		within(t, "EXPUNGE", func() { require.NoError(t, finish(c)) })
		require.NoError(t, c.Ping(soon(t)))
		wantGoroutines(t, 1)
		require.NoError(t, c.Close())
	}
}

func TestAShortAppendStoresNothing(t *testing.T) {
	for size := 15; size < 40; size++ { // for some size, the CRLF of the next command would have completed it
		_, server := mailbox(t)
		c := dial(t, plainDSN(server.Addr(), "?tls=none"))
		a := c.Append("INBOX", int64(size), nil)
		_, err := io.WriteString(a, "Subject: short")
		require.NoError(t, err)
		require.Error(t, a.Close())
		for range 3 {
			require.Error(t, c.Noop().Wait())
		}
		other := dial(t, plainDSN(server.Addr(), "?tls=none"))
		status, err := other.Status("INBOX", &goimap.StatusOptions{NumMessages: true}).Wait()
		require.NoError(t, err)
		require.Zero(t, *status.NumMessages)
	}
}

// No method can change the user of a connection.
func TestIdentityCannotBeChanged(t *testing.T) {
	for _, method := range []string{"Login", "Authenticate", "Unauthenticate", "Enable", "Logout", "StartTLS"} {
		assert.NotContains(t, methodsOf(new(imap.Conn)), method)
	}
}
