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

// wantNothingSent fails if send sends anything, or does not fail with want, or costs the
// connection.
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
	assert.Equal(t, "NOOP", <-heard, "the first command sent")
	return err
}

// Faults that go-imap finds too late would look like a lost connection.
func TestAnInvalidCommandIsNotSent(t *testing.T) {
	second := func(_ any, err error) error { return err }
	one := goimap.SeqSetNum(1)
	store := func(flags ...goimap.Flag) *goimap.StoreFlags { return &goimap.StoreFlags{Flags: flags} }
	byDate := []imapclient.SortCriterion{{Key: imapclient.SortKeyDate}}
	noUIDs := &goimap.SearchCriteria{UID: []goimap.UIDSet{{}}}
	for _, tc := range []struct {
		name, want string
		send       func(c *imap.Conn) error
	}{
		{"FETCH of nothing", "imap: FETCH: the set of messages is empty", func(c *imap.Conn) error { return second(c.Fetch(goimap.UIDSet{}, nil).Collect()) }},
		{"FETCH of nil", "imap: FETCH: <nil> is not a set of messages: want imap.SeqSet or imap.UIDSet", func(c *imap.Conn) error { return c.Fetch(nil, nil).Close() }},
		{"FETCH of a pointer", "imap: FETCH: *imap.SeqSet is not a set of messages: want imap.SeqSet or imap.UIDSet", func(c *imap.Conn) error { return c.Fetch(&one, nil).Close() }},
		{"FETCH of a nil section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{}, nil}}).Close()
		}},
		{"FETCH of a nil binary section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySection: []*goimap.FetchItemBinarySection{nil}}).Close()
		}},
		{"FETCH of the size of a nil section", "imap: FETCH: one of the sections to fetch is nil", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySectionSize: []*goimap.FetchItemBinarySectionSize{nil}}).Close()
		}},
		{"FETCH of no items", "imap: FETCH: there is nothing to fetch: set a field of the options", func(c *imap.Conn) error { return c.Fetch(one, nil).Close() }},
		{"FETCH of empty items", "imap: FETCH: there is nothing to fetch: set a field of the options", func(c *imap.Conn) error {
			return second(c.Fetch(one, &goimap.FetchOptions{ChangedSince: 7}).Collect())
		}},
		{"FETCH of a wrong section", `imap: FETCH: section "BODY": want HEADER, MIME, TEXT or nothing`, func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Specifier: "BODY"}}}).Close()
		}},
		{"FETCH of the MIME of a message", "imap: FETCH: section MIME: want the number of a part too", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Specifier: goimap.PartSpecifierMIME}}}).Close()
		}},
		{"FETCH of fields of the text", `imap: FETCH: header fields of section "TEXT": want HEADER`, func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Specifier: goimap.PartSpecifierText, HeaderFields: []string{"To"}}}}).Close()
		}},
		{"FETCH of part zero", "imap: FETCH: part 0: want a number above zero", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySectionSize: []*goimap.FetchItemBinarySectionSize{{Part: []int{1, 0}}}}).Close()
		}},
		{"FETCH of no bytes", "imap: FETCH: 0 bytes from byte 0: want at least one byte, from byte zero or later", func(c *imap.Conn) error {
			return c.Fetch(one, &goimap.FetchOptions{BinarySection: []*goimap.FetchItemBinarySection{{Partial: &goimap.SectionPartial{}}}}).Close()
		}},
		{"STATUS of nil", "imap: STATUS: there is nothing to ask for: set a field of the options", func(c *imap.Conn) error { return second(c.Status("a", nil).Wait()) }},
		{"STATUS of nothing", "imap: STATUS: there is nothing to ask for: set a field of the options", func(c *imap.Conn) error {
			return second(c.Status("a", &goimap.StatusOptions{}).Wait())
		}},
		{"STATUS of an item that go-imap does not know", "imap: STATUS: NumRecent: want false; the client can't read the answer", func(c *imap.Conn) error {
			return second(c.Status("a", &goimap.StatusOptions{NumMessages: true, NumRecent: true}).Wait())
		}},
		{"LIST with the status of nothing", "imap: LIST: there is nothing to ask for: set a field of the options", func(c *imap.Conn) error {
			return second(c.List("", "*", &goimap.ListOptions{ReturnStatus: &goimap.StatusOptions{}}).Collect())
		}},
		{"SORT by nil", "imap: SORT: there are no search criteria", func(c *imap.Conn) error { return second(c.Sort(nil).Wait()) }},
		{"UID SORT by nil", "imap: UID SORT: there are no search criteria", func(c *imap.Conn) error { return second(c.UIDSort(nil).Wait()) }},
		{"THREAD by nil", "imap: THREAD: there are no search criteria", func(c *imap.Conn) error { return second(c.Thread(nil).Wait()) }},
		{"UID THREAD by nil", "imap: UID THREAD: there are no search criteria", func(c *imap.Conn) error { return second(c.UIDThread(nil).Wait()) }},
		{"SORT of nothing", "imap: SORT: there are no search criteria", func(c *imap.Conn) error {
			return second(c.Sort(&imapclient.SortOptions{SortCriteria: byDate}).Wait())
		}},
		{"SORT without a key", "imap: SORT: there is no sort key", func(c *imap.Conn) error {
			return second(c.Sort(&imapclient.SortOptions{SearchCriteria: &goimap.SearchCriteria{}}).Wait())
		}},
		{"SORT by a wrong key", `imap: UID SORT: "A B" is not a sort key`, func(c *imap.Conn) error {
			return second(c.UIDSort(&imapclient.SortOptions{SortCriteria: []imapclient.SortCriterion{{Key: "A B"}}, SearchCriteria: &goimap.SearchCriteria{}}).Wait())
		}},
		{"THREAD without an algorithm", `imap: THREAD: "" is not a threading algorithm`, func(c *imap.Conn) error {
			return second(c.Thread(&imapclient.ThreadOptions{SearchCriteria: &goimap.SearchCriteria{}}).Wait())
		}},
		{"SEARCH by a name with a second line", `imap: SEARCH: modseq of "a\"\r\nX1 DELETE b", "": want printable ASCII and an atom`, func(c *imap.Conn) error {
			return second(c.Search(&goimap.SearchCriteria{ModSeq: &goimap.SearchCriteriaModSeq{MetadataName: "a\"\r\nX1 DELETE b"}}, nil).Wait())
		}},
		{"ID with a second line", "imap: ID: id Name, OS: want printable ASCII", func(c *imap.Conn) error {
			return second(c.ID(&goimap.IDData{Name: "a\r\nX1 DELETE b", OS: "\x00"}).Wait())
		}},
		{"GETMETADATA of nothing", "imap: GETMETADATA: there are no entries", func(c *imap.Conn) error { return second(c.GetMetadata("a", nil, nil).Wait()) }},
		{"GETMETADATA of a wrong depth", "imap: GETMETADATA: depth 7: want 0, 1, or -1 for all", func(c *imap.Conn) error {
			return second(c.GetMetadata("a", []string{"/x"}, &imapclient.GetMetadataOptions{Depth: 7}).Wait())
		}},
		{"SETMETADATA of nothing", "imap: SETMETADATA: there are no entries", func(c *imap.Conn) error { return c.SetMetadata("a", nil).Wait() }},
		{"SETQUOTA with a negative limit", `imap: SETQUOTA: quota "STORAGE" of -1: want a name and a limit of at least zero`, func(c *imap.Conn) error {
			return c.SetQuota("r", map[goimap.QuotaResourceType]int64{goimap.QuotaResourceStorage: -1}).Wait()
		}},
		{"CREATE for a wrong use", `imap: CREATE: "Sent" is not a special use: want one such as \Sent`, func(c *imap.Conn) error {
			return c.Create("a", &goimap.CreateOptions{SpecialUse: []goimap.MailboxAttr{goimap.MailboxAttrSent, "Sent"}}).Wait()
		}},
		{"COPY of nothing", "imap: COPY: the set of messages is empty", func(c *imap.Conn) error { return second(c.Copy(goimap.SeqSet{}, "a").Wait()) }},
		{"MOVE of nothing", "imap: MOVE: the set of messages is empty", func(c *imap.Conn) error { return second(c.Move(goimap.SeqSet{}, "a").Wait()) }},
		{"UID EXPUNGE of nothing", "imap: UID EXPUNGE: the set of messages is empty", func(c *imap.Conn) error { return second(c.UIDExpunge(nil).Collect()) }},
		{"STORE to nothing", "imap: STORE: the set of messages is empty", func(c *imap.Conn) error { return c.Store(goimap.UIDSet{}, store(), nil).Close() }},
		{"STORE of nil", "imap: STORE: there are no flags to store", func(c *imap.Conn) error { return c.Store(one, nil, nil).Close() }},
		{"STORE of a wrong flag", `imap: STORE: "a b" is not a flag`, func(c *imap.Conn) error { return c.Store(one, store("a b"), nil).Close() }},
		{"STORE by a wrong operation", "imap: STORE: 7 is not an operation on flags", func(c *imap.Conn) error { return c.Store(one, &goimap.StoreFlags{Op: 7}, nil).Close() }},
		{"SEARCH for nil", "imap: SEARCH: there are no search criteria", func(c *imap.Conn) error { return second(c.Search(nil, nil).Wait()) }},
		{"SEARCH in nothing", "imap: SEARCH: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.Search(&goimap.SearchCriteria{SeqNum: []goimap.SeqSet{{}}}, nil).Wait())
		}},
		{"SEARCH for a wrong flag", `imap: UID SEARCH: "\\" is not a flag`, func(c *imap.Conn) error {
			return second(c.UIDSearch(&goimap.SearchCriteria{NotFlag: []goimap.Flag{`\`}}, nil).Wait())
		}},
		{"SORT of not nothing", "imap: SORT: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.Sort(&imapclient.SortOptions{SortCriteria: byDate, SearchCriteria: &goimap.SearchCriteria{Not: []goimap.SearchCriteria{*noUIDs}}}).Wait())
		}},
		{"THREAD of something or nothing", "imap: UID THREAD: the set of messages is empty", func(c *imap.Conn) error {
			return second(c.UIDThread(&imapclient.ThreadOptions{Algorithm: goimap.ThreadReferences, SearchCriteria: &goimap.SearchCriteria{Or: [][2]goimap.SearchCriteria{{{}, *noUIDs}}}}).Wait())
		}},
		{"APPEND with a negative size", "imap: APPEND: a message of -1 bytes: want at least zero", func(c *imap.Conn) error { return c.Append("INBOX", -1, nil).Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) { wantNothingSent(t, "IMAP4rev1 MOVE", tc.want, tc.send) })
	}
}

// A server with LITERAL- would take the lines of the message for commands.
func TestAnAppendWithAWrongFlagSendsNoLineOfTheMessage(t *testing.T) {
	for _, flag := range []goimap.Flag{"", `\`, "$Junk[1]", "a b", "a\r\nX1 DELETE b", "a\x00", "a\x7f", `a\b`, `\*`, "(", ")", "{1}", "%", `"`, "grün"} {
		t.Run(string(flag), func(t *testing.T) {
			const mail = "Subject: x\r\n\r\nX1 DELETE Archive\r\n"
			wantNothingSent(t, "IMAP4rev1 LITERAL-", fmt.Sprintf("imap: APPEND: %q is not a flag", flag), func(c *imap.Conn) error {
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
	wantNothingSent(t, "IMAP4rev1 LITERAL-", "imap: APPEND: mailbox name of 801 bytes: want at most 800", func(c *imap.Conn) error {
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

// go-imap would pipeline COPY, STORE and EXPUNGE, and expunge messages that were not
// copied.
func TestMoveSendsNothingIfTheServerHasNoMove(t *testing.T) {
	err := wantNothingSent(t, "IMAP4rev1 UIDPLUS", `imap: MOVE: the server does not support MOVE: Copy the messages, then Store \Deleted and Expunge them: unsupported operation`, func(c *imap.Conn) error {
		_, err := c.Move(goimap.UIDSetNum(1, 2), "Missing").Wait()
		return err
	})
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}
