package imap_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
)

// wantNothingSent fails if send sends anything, or does not fail by want, or
// costs the connection.
func wantNothingSent(t *testing.T, caps, want string, send func(c *imap.Conn) error) (err error) {
	heard := make(chan string, 100)
	c := dial(t, plainDSN(yesMan(t, "* PREAUTH [CAPABILITY "+caps+"] hi\r\n", heard), "?tls=none"))
	require.NoError(t, c.ResetSession(soon(t)))
	within(t, "the command", func() { err = send(c) })
	require.EqualError(t, err, want)
	assert.False(t, driver.IsBad(err))
	assert.False(t, driver.SafeToRetry(err))
	assert.True(t, c.IsValid())
	require.NoError(t, c.ResetSession(soon(t)))
	require.NoError(t, c.Ping(soon(t)))
	assert.Equal(t, "NOOP", <-heard, "what was sent first")
	return err
}

// What go-imap finds too late would look like a lost connection.
func TestAMistakeIsNotSent(t *testing.T) {
	second := func(_ any, err error) error { return err }
	one := goimap.SeqSetNum(1)
	store := func(flags ...goimap.Flag) *goimap.StoreFlags { return &goimap.StoreFlags{Flags: flags} }
	noUIDs := &goimap.SearchCriteria{UID: []goimap.UIDSet{{}}}
	for _, tc := range []struct {
		name, want string
		send       func(c *imap.Conn) error
	}{
		{"FETCH of nothing", "imap: FETCH: the set of messages is empty", func(c *imap.Conn) error { return second(c.Fetch(goimap.UIDSet{}, nil).Collect()) }},
		{"FETCH of nil", "imap: FETCH: <nil> is no set of messages: want imap.SeqSet or imap.UIDSet", func(c *imap.Conn) error { return c.Fetch(nil, nil).Close() }},
		{"FETCH of a pointer", "imap: FETCH: *imap.SeqSet is no set of messages: want imap.SeqSet or imap.UIDSet", func(c *imap.Conn) error { return c.Fetch(&one, nil).Close() }},
		{"FETCH of a nil section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{}, nil}}).Close()
		}},
		{"FETCH of a nil binary section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySection: []*goimap.FetchItemBinarySection{nil}}).Close()
		}},
		{"FETCH of the size of a nil section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySectionSize: []*goimap.FetchItemBinarySectionSize{nil}}).Close()
		}},
		{"COPY of nothing", "imap: COPY: the set of messages is empty", func(c *imap.Conn) error { return second(c.Copy(goimap.SeqSet{}, "a").Wait()) }},
		{"MOVE of nothing", "imap: MOVE: the set of messages is empty", func(c *imap.Conn) error { return second(c.Move(goimap.SeqSet{}, "a").Wait()) }},
		{"UID EXPUNGE of nothing", "imap: UID EXPUNGE: the set of messages is empty", func(c *imap.Conn) error { return second(c.UIDExpunge(nil).Collect()) }},
		{"STORE to nothing", "imap: STORE: the set of messages is empty", func(c *imap.Conn) error { return c.Store(goimap.UIDSet{}, store(), nil).Close() }},
		{"STORE of nil", "imap: STORE: there are no flags to store", func(c *imap.Conn) error { return c.Store(one, nil, nil).Close() }},
		{"STORE of a wrong flag", `imap: STORE: "a b" is no flag`, func(c *imap.Conn) error { return c.Store(one, store("a b"), nil).Close() }},
		{"STORE by a wrong operation", "imap: STORE: there is no operation 7 on flags", func(c *imap.Conn) error { return c.Store(one, &goimap.StoreFlags{Op: 7}, nil).Close() }},
		{"SEARCH for nil", "imap: SEARCH: there are no search criteria", func(c *imap.Conn) error { return second(c.Search(nil, nil).Wait()) }},
		{"SEARCH in nothing", "imap: SEARCH: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.Search(&goimap.SearchCriteria{SeqNum: []goimap.SeqSet{{}}}, nil).Wait())
		}},
		{"SEARCH for a wrong flag", `imap: UID SEARCH: "\\" is no flag`, func(c *imap.Conn) error {
			return second(c.UIDSearch(&goimap.SearchCriteria{NotFlag: []goimap.Flag{`\`}}, nil).Wait())
		}},
		{"SORT of not nothing", "imap: SORT: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.Sort(&imapclient.SortOptions{SearchCriteria: &goimap.SearchCriteria{Not: []goimap.SearchCriteria{*noUIDs}}}).Wait())
		}},
		{"THREAD of something or nothing", "imap: UID THREAD: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.UIDThread(&imapclient.ThreadOptions{SearchCriteria: &goimap.SearchCriteria{Or: [][2]goimap.SearchCriteria{{{}, *noUIDs}}}}).Wait())
		}},
		{"APPEND of less than nothing", "imap: APPEND: a message of -1 bytes", func(c *imap.Conn) error { return c.Append("INBOX", -1, nil).Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) { wantNothingSent(t, "IMAP4rev1 MOVE", tc.want, tc.send) })
	}
}

// A server with LITERAL- would take the lines of the message for commands.
func TestAnAppendWithAWrongFlagSendsNoLineOfTheMessage(t *testing.T) {
	for _, flag := range []goimap.Flag{"", `\`, "$Junk[1]", "a b", "a\r\nX1 DELETE b", "a\x00", "a\x7f", `a\b`, `\*`, "(", ")", "{1}", "%", `"`, "grün"} {
		t.Run(string(flag), func(t *testing.T) {
			const mail = "Subject: x\r\n\r\nX1 DELETE Archive\r\n"
			wantNothingSent(t, "IMAP4rev1 LITERAL-", fmt.Sprintf("imap: APPEND: %q is no flag", flag), func(c *imap.Conn) error {
				a := c.Append("INBOX", int64(len(mail)), &goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagSeen, flag}})
				_, err := io.WriteString(a, mail)
				assert.Error(t, err)
				assert.Error(t, a.Close())
				_, err = a.Wait()
				return err
			})
		})
	}
}

// A name that is too long for a quoted string is sent first, and may be refused.
func TestAnAppendToALongNameSendsNoLineOfTheMessage(t *testing.T) {
	wantNothingSent(t, "IMAP4rev1 LITERAL-", "imap: APPEND: the name of the mailbox has 801 bytes: want 800 at most", func(c *imap.Conn) error {
		_, err := c.Append(strings.Repeat("\x01", 801), 10, nil).Wait()
		return err
	})
	heard := make(chan string, 10)
	c := dial(t, plainDSN(yesMan(t, "* PREAUTH [CAPABILITY IMAP4rev1 LITERAL-] hi\r\n", heard), "?tls=none"))
	longest := strings.Repeat("\x01a", 400)
	a := c.Append(longest, 0, nil)
	require.NoError(t, a.Close())
	_, err := a.Wait()
	require.NoError(t, err)
	assert.Regexp(t, `^APPEND "(&AAE-a){400}" \{0\+\}$`, <-heard)
}

func TestGoodFlagsAreStored(t *testing.T) {
	_, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	const mail = "Subject: x\r\n\r\n"
	a := c.Append("INBOX", int64(len(mail)), &goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagSeen, "$Junk", "NonJunk", "[a+b;c", `\Extra`}})
	_, err := io.WriteString(a, mail)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = a.Wait()
	require.NoError(t, err)
}

// go-imap would send COPY, STORE and EXPUNGE in one, and expunge what was not
// copied.
func TestMoveSendsNothingWhereTheServerHasNoMove(t *testing.T) {
	err := wantNothingSent(t, "IMAP4rev1 UIDPLUS", `imap: MOVE: the server has no MOVE: Copy the messages, and then Store \Deleted and Expunge them: unsupported operation`, func(c *imap.Conn) error {
		_, err := c.Move(goimap.UIDSetNum(1, 2), "Missing").Wait()
		return err
	})
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}
