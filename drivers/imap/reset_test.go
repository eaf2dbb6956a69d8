package imap_test

import (
	"context"
	"slices"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
)

func TestReset(t *testing.T) {
	for _, tc := range []struct{ query, left, want string }{
		{"?tls=none", "", ""},
		{"?tls=none", "Other", ""},
		{"?tls=none&reset=keep", "Other", "Other"},
		{"?tls=none&reset=discard", "", ""},
		{"?tls=none&reset=discard", "Other", "discarded"},
		{"/INBOX?tls=none", "INBOX", "INBOX"},
		{"/INBOX?tls=none", "Other", "INBOX"},
		{"/INBOX?tls=none", "none", "INBOX"},
		{"/INBOX?tls=none", "Missing", "INBOX"},
		{"/INBOX?tls=none&reset=discard", "INBOX", "INBOX"},
	} {
		t.Run(tc.query+" "+tc.left, func(t *testing.T) {
			mail, server := mailbox(t)
			require.NoError(t, mail.Create("Other"))
			c := dial(t, plainDSN(server.Addr(), tc.query))
			switch tc.left {
			case "":
			case "none":
				require.NoError(t, c.Unselect().Wait())
				assert.Empty(t, c.Mailbox())
			default:
				_, err := c.Select(tc.left, nil).Wait()
				assert.Equal(t, tc.left == "Missing", err != nil)
			}
			err := c.ResetSession(soon(t))
			if tc.want == "discarded" {
				assert.ErrorIs(t, err, driver.ErrBadConn)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.Mailbox())
		})
	}
}

func TestResetOfACleanConnectionIsSilent(t *testing.T) {
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: SELECT INBOX", "TAG OK in\r\n", "C: NOOP", "TAG OK still\r\n")
	c := dial(t, plainDSN(addr, "/INBOX?tls=none"))
	for range 3 {
		require.NoError(t, c.ResetSession(endless{t.Context(), t}))
	}
	require.NoError(t, c.Ping(soon(t)))
}

// endless is a context whose Done must not be called: a pool makes a timer for it only
// then.
type endless struct {
	context.Context
	t *testing.T
}

func (c endless) Done() <-chan struct{} {
	assert.Fail(c.t, "Done was called although there was nothing to wait for")
	return nil
}

func TestResetReadsTheRestOfAnAnswer(t *testing.T) {
	_, server := mailbox(t, message(10))
	c := dial(t, plainDSN(server.Addr(), "/INBOX?tls=none"))
	c.Fetch(goimap.SeqSetNum(1), body)
	within(t, "ResetSession and NOOP", func() {
		require.NoError(t, c.ResetSession(soon(t)))
		require.NoError(t, c.Noop().Wait())
	})
}

// CLOSE would remove the messages marked as deleted.
func TestAResetThatTakesTooLongSaysSo(t *testing.T) {
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: SELECT", "* 1 EXISTS\r\nTAG OK in\r\n", "C: SEARCH")
	c := dial(t, plainDSN(addr, "?tls=none"))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	c.Search(&goimap.SearchCriteria{}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = c.ResetSession(ctx)
	require.ErrorIs(t, err, driver.ErrBadConn)
	assert.ErrorContains(t, err, "deadline exceeded")
	assert.NotContains(t, err.Error(), "expunging")
}

func TestWithoutUnselectAFailingExamineLeavesTheMailbox(t *testing.T) {
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: SELECT INBOX", "TAG OK in\r\n",
		`C: EXAMINE "hotline-there-is-no-such-mailbox"`, "TAG NO [NONEXISTENT] none\r\n", "C: NOOP", "TAG OK done\r\n",
		"C: SELECT INBOX", "TAG OK in\r\n", `C: EXAMINE "hotline-there`, "TAG OK there is, though\r\n")
	c := dial(t, plainDSN(addr, "?tls=none"))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	require.NoError(t, c.ResetSession(soon(t)))
	assert.Empty(t, c.Mailbox())
	require.NoError(t, c.Ping(soon(t)))

	_, err = c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	assert.ErrorIs(t, c.ResetSession(soon(t)), driver.ErrBadConn)
}

func TestTheErrorOfARefusedResetIsBadConn(t *testing.T) {
	for _, tc := range []struct{ path, refused, answer string }{
		{"", "UNSELECT", "TAG BAD No mailbox selected\r\n"},
		{"", "UNSELECT", "TAG NO [THROTTLED] slow down\r\n"},
		{"/INBOX", "SELECT INBOX", "TAG NO [NONEXISTENT] gone\r\n"},
	} {
		t.Run(tc.answer, func(t *testing.T) {
			lines := []string{"* PREAUTH [CAPABILITY IMAP4rev1 UNSELECT] hi\r\n", "C: SELECT \"Other\"", "TAG OK in\r\n", "C: " + tc.refused, tc.answer}
			if tc.path != "" {
				lines = slices.Insert(lines, 1, "C: SELECT INBOX", "TAG OK in\r\n")
			}
			c := dial(t, plainDSN(script(t, lines...), tc.path+"?tls=none"))
			_, err := c.Select("Other", nil).Wait()
			require.NoError(t, err)
			err = c.ResetSession(soon(t))
			assert.ErrorIs(t, err, driver.ErrBadConn, "a pool takes another connection")
			assert.ErrorContains(t, err, tc.answer[4:len(tc.answer)-2], "why")
		})
	}
}

// The last command sent determines the selection, in whatever order the answers are
// waited for.
func TestPipelinedSelectsCountInTheOrderInWhichTheyWereSent(t *testing.T) {
	mail, server := mailbox(t)
	require.NoError(t, mail.Create("Other"))
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	first, second := c.Select("INBOX", nil), c.Select("Other", &goimap.SelectOptions{ReadOnly: true})
	_, err := second.Wait()
	require.NoError(t, err)
	_, err = first.Wait()
	require.NoError(t, err)
	assert.Equal(t, "Other", c.Mailbox())
	require.NoError(t, c.Create("Third", nil).Wait())
	require.NoError(t, c.UnselectAndExpunge().Wait())
	assert.Empty(t, c.Mailbox())
}

func TestAThrottledCommandSaysSo(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	mail.Answer(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: "THROTTLED", Text: "slow down"})
	_, err := c.Select("INBOX", nil).Wait()
	_, throttled := driver.RetryAfter(err)
	assert.True(t, throttled, "%v", err)
	assert.True(t, c.IsValid())
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: NOOP", "TAG NO [THROTTLED] slow down\r\n",
		"C: NOOP", "TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. p2mb1\r\n", "C: NOOP",
		"* BYE Too many commands\r\n", "HANG UP")
	c = dial(t, plainDSN(addr, "?tls=none"))
	for range 2 {
		err = c.Noop().Wait()
		_, throttled = driver.RetryAfter(err)
		assert.True(t, throttled, "%v", err)
		assert.False(t, driver.IsBad(err))
		assert.True(t, c.IsValid())
	}
	err = c.Noop().Wait()
	_, throttled = driver.RetryAfter(err)
	assert.True(t, throttled)
	assert.True(t, driver.IsBad(err))
}
