package imap_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// yesMan answers OK to every command, and sends the command to heard.
func yesMan(t testing.TB, greeting string, heard chan<- string) string {
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, greeting)
		for in := bufio.NewScanner(c); in.Scan(); {
			tag, command, _ := strings.Cut(in.Text(), " ")
			heard <- command
			if command == "CAPABILITY" {
				fmt.Fprint(c, "* CAPABILITY IMAP4rev1 ID ENABLE UTF8=ACCEPT\r\n")
			}
			fmt.Fprintf(c, "%s OK done\r\n", tag)
		}
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server.Addr()
}

// everyCommand returns functions that send a command and wait for its answer, keyed by
// the line sent.
func everyCommand() map[string]func(c *imap.Conn) error {
	numbers, uids := goimap.SeqSetNum(1), goimap.UIDSetNum(7)
	flag := &goimap.StoreFlags{Op: goimap.StoreFlagsSet, Flags: []goimap.Flag{goimap.FlagSeen}}
	all := &goimap.SearchCriteria{}
	sort := &imapclient.SortOptions{SearchCriteria: all, SortCriteria: []imapclient.SortCriterion{{Key: imapclient.SortKeyDate}}}
	thread := &imapclient.ThreadOptions{Algorithm: goimap.ThreadReferences, SearchCriteria: all}
	second := func(_ any, err error) error { return err }
	return map[string]func(c *imap.Conn) error{
		"NOOP":            func(c *imap.Conn) error { return c.Noop().Wait() },
		"CAPABILITY":      func(c *imap.Conn) error { return second(c.Capability().Wait()) },
		"NAMESPACE":       func(c *imap.Conn) error { return second(c.Namespace().Wait()) },
		"ID NIL":          func(c *imap.Conn) error { return second(c.ID(nil).Wait()) },
		"SELECT INBOX":    func(c *imap.Conn) error { return second(c.Select("INBOX", nil).Wait()) },
		"UNSELECT":        func(c *imap.Conn) error { return c.Unselect().Wait() },
		"CLOSE":           func(c *imap.Conn) error { return c.UnselectAndExpunge().Wait() },
		`CREATE "a"`:      func(c *imap.Conn) error { return c.Create("a", nil).Wait() },
		`DELETE "a"`:      func(c *imap.Conn) error { return c.Delete("a").Wait() },
		`RENAME "a" "b"`:  func(c *imap.Conn) error { return c.Rename("a", "b", nil).Wait() },
		`SUBSCRIBE "a"`:   func(c *imap.Conn) error { return c.Subscribe("a").Wait() },
		`UNSUBSCRIBE "a"`: func(c *imap.Conn) error { return c.Unsubscribe("a").Wait() },
		`STATUS "a" (MESSAGES)`: func(c *imap.Conn) error {
			return second(c.Status("a", &goimap.StatusOptions{NumMessages: true}).Wait())
		},
		`LIST "" "*"`:                 func(c *imap.Conn) error { return second(c.List("", "*", nil).Collect()) },
		"SEARCH ALL":                  func(c *imap.Conn) error { return second(c.Search(all, nil).Wait()) },
		"UID SEARCH ALL":              func(c *imap.Conn) error { return second(c.UIDSearch(all, nil).Wait()) },
		"SORT (DATE) UTF-8 ALL":       func(c *imap.Conn) error { return second(c.Sort(sort).Wait()) },
		"UID SORT (DATE) UTF-8 ALL":   func(c *imap.Conn) error { return second(c.UIDSort(sort).Wait()) },
		"THREAD REFERENCES UTF-8 ALL": func(c *imap.Conn) error { return second(c.Thread(thread).Wait()) },
		"UID THREAD REFERENCES UTF-8 ALL": func(c *imap.Conn) error {
			return second(c.UIDThread(thread).Wait())
		},
		"FETCH 1 (FLAGS)":         func(c *imap.Conn) error { return second(c.Fetch(numbers, flags).Collect()) },
		"UID FETCH 7 (UID)":       func(c *imap.Conn) error { return second(c.Fetch(uids, nil).Collect()) },
		"UID FETCH 7 (UID FLAGS)": func(c *imap.Conn) error { return second(c.Fetch(uids, flags).Collect()) },
		`STORE 1 FLAGS (\Seen)`:   func(c *imap.Conn) error { return c.Store(numbers, flag, nil).Close() },
		`COPY 1 "a"`:              func(c *imap.Conn) error { return second(c.Copy(numbers, "a").Wait()) },
		`UID MOVE 7 "a"`:          func(c *imap.Conn) error { return second(c.Move(uids, "a").Wait()) },
		"EXPUNGE":                 func(c *imap.Conn) error { return second(c.Expunge().Collect()) },
		"UID EXPUNGE 7":           func(c *imap.Conn) error { return c.UIDExpunge(uids).Close() },
		`GETQUOTA "r"`:            func(c *imap.Conn) error { return second(c.GetQuota("r").Wait()) },
		`GETQUOTAROOT "a"`:        func(c *imap.Conn) error { return second(c.GetQuotaRoot("a").Wait()) },
		`SETQUOTA "r" (STORAGE 9)`: func(c *imap.Conn) error {
			return c.SetQuota("r", map[goimap.QuotaResourceType]int64{goimap.QuotaResourceStorage: 9}).Wait()
		},
		`GETMETADATA "a" ("/x")`:     func(c *imap.Conn) error { return second(c.GetMetadata("a", []string{"/x"}, nil).Wait()) },
		`SETMETADATA "a" ("/x" NIL)`: func(c *imap.Conn) error { return c.SetMetadata("a", map[string]*[]byte{"/x": nil}).Wait() },
		`MYRIGHTS "a"`:               func(c *imap.Conn) error { return second(c.MyRights("a").Wait()) },
		`GETACL "a"`:                 func(c *imap.Conn) error { return second(c.GetACL("a").Wait()) },
		`SETACL "a" "joe" "+l"`: func(c *imap.Conn) error {
			return c.SetACL("a", "joe", goimap.RightModificationAdd, goimap.RightSet{goimap.RightLookup}).Wait()
		},
	}
}

func TestEachCommandIsSentAndAwaited(t *testing.T) {
	for want, send := range everyCommand() {
		t.Run(want, func(t *testing.T) {
			heard := make(chan string, 2)
			c := dial(t, plainDSN(yesMan(t, "* PREAUTH [CAPABILITY IMAP4rev1 MOVE UNSELECT] hi\r\n", heard), "?tls=none"))
			within(t, want, func() { require.NoError(t, send(c)) })
			assert.Equal(t, want, <-heard)
			require.NoError(t, c.ResetSession(soon(t)), "nothing is left open")
		})
	}
}

func TestAServerOfIMAP4rev2HasMove(t *testing.T) {
	heard := make(chan string, 1)
	c := dial(t, plainDSN(yesMan(t, "* PREAUTH [CAPABILITY IMAP4rev2] hi\r\n", heard), "?tls=none"))
	_, err := c.Move(goimap.UIDSetNum(7), "a").Wait()
	require.NoError(t, err)
	assert.Equal(t, `UID MOVE 7 "a"`, <-heard)
}

func TestAMessageHasAllRequestedItems(t *testing.T) {
	_, server := mailbox(t, message(10))
	c := dial(t, plainDSN(server.Addr(), "/INBOX?tls=none"))
	options := &goimap.FetchOptions{
		BodyStructure: &goimap.FetchItemBodyStructure{Extended: true}, Envelope: true, Flags: true, InternalDate: true, RFC822Size: true, UID: true,
		BodySection:       []*goimap.FetchItemBodySection{{}},
		BinarySection:     []*goimap.FetchItemBinarySection{{Part: []int{1}}},
		BinarySectionSize: []*goimap.FetchItemBinarySectionSize{{Part: []int{1}}},
	}
	messages, err := c.Fetch(goimap.SeqSetNum(1), options).Collect()
	require.NoError(t, err)
	require.Len(t, messages, 1)
	m := messages[0]
	assert.EqualValues(t, 1, m.SeqNum)
	assert.EqualValues(t, 1, m.UID)
	assert.Equal(t, "hello", m.Envelope.Subject)
	assert.Contains(t, m.Flags, goimap.FlagSeen, "reading a body marks it")
	assert.False(t, m.InternalDate.IsZero())
	assert.EqualValues(t, len(message(10)), m.RFC822Size)
	assert.Equal(t, "text/plain", m.BodyStructure.MediaType())
	assert.Equal(t, message(10), string(m.FindBodySection(options.BodySection[0])))
	assert.Equal(t, strings.Repeat("x", 10), string(m.FindBinarySection(options.BinarySection[0])))
	size, ok := m.FindBinarySectionSize([]int{1})
	assert.True(t, ok)
	assert.EqualValues(t, 10, size)
}

func TestAnAppendThatIsNotClosedHasNoResult(t *testing.T) {
	_, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	a := c.Append("INBOX", 3, nil)
	_, err := a.Wait()
	assert.EqualError(t, err, "imap: APPEND: call Close before Wait")
	_, err = a.Write([]byte("too long"))
	assert.EqualError(t, err, "imap: APPEND: wrote too many bytes in literal")
	_, err = a.Write([]byte("a: "))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	data, err := a.Wait()
	require.NoError(t, err)
	assert.EqualValues(t, 1, data.UID)
}

func TestIdleEndsOnCloseAndWithTheConnection(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "/INBOX?tls=none"))
	idle, err := c.Idle()
	require.NoError(t, err)
	require.NoError(t, idle.Close())
	require.NoError(t, idle.Close())
	require.NoError(t, idle.Wait())
	idle, err = c.Idle()
	require.NoError(t, err)
	mail.Bye("so long")
	within(t, "Wait", func() { assert.ErrorContains(t, idle.Wait(), "so long") })
	_, err = c.Idle()
	assert.ErrorContains(t, err, "so long")
}

// After an answer from the server, there is no need to ping it.
func TestARefusedCommandCostsNoPing(t *testing.T) {
	_, server := mailbox(t)
	p, err := pool.Open[*imap.Conn]("imap", plainDSN(server.Addr(), "?tls=none"), pool.Config{MaxOpen: 1})
	require.NoError(t, err)
	defer p.Close()
	for name, send := range map[string]func(c *imap.Conn) error{
		"NO":  func(c *imap.Conn) error { return c.Delete("none").Wait() },
		"BAD": func(c *imap.Conn) error { return c.Expunge().Close() },
	} {
		for range 3 {
			err := p.Do(soon(t), func(_ context.Context, c *imap.Conn) error { return send(c) })
			var answer *goimap.Error
			require.ErrorAs(t, err, &answer, name)
			assert.Equal(t, name, string(answer.Type))
			assert.True(t, driver.IsGood(err), name)
		}
	}
	s := p.Stats()
	assert.Equal(t, [3]int64{0, 1, 0}, [3]int64{s.Pings, s.Connects, s.Closed.Bad}, "pings, connects, bad connections")
}

// A pool that gets the error of a command must not need IsValid to discard the
// connection.
func TestAConnectionIsInvalidOnlyAfterABadError(t *testing.T) {
	commands := everyCommand()
	commands["APPEND"] = func(c *imap.Conn) error { return appendMail(c, "Subject: x\r\n\r\n") }
	commands["CREATE with a literal"] = func(c *imap.Conn) error { return c.Create(strings.Repeat("a", 5000), nil).Wait() }
	commands["IDLE"] = func(c *imap.Conn) error {
		idle, err := c.Idle()
		if err != nil {
			return err
		}
		return idle.Wait()
	}
	for _, answer := range [][]string{
		{"TAG NO no\r\n"},
		{"TAG BAD what?\r\n"},
		{"TAG NO no\r\n* BYE go\r\n"},
		{"TAG BAD what?\r\n* BYE too many bad commands\r\n", "HANG UP"},
		{"* BAD what?\r\n", "HANG UP"},
		{"* BYE go\r\n", "HANG UP"},
		{"* XYZZY\r\n"},
		{"* 1 FETCH (FLAGS (\r\n"},
		{"T99 OK done\r\n"},
		{"\r\n"},
		{"HANG UP"},
	} {
		t.Run(strings.TrimSpace(answer[0]), func(t *testing.T) {
			for name, send := range commands {
				synctest.Test(t, func(t *testing.T) {
					hello := "* PREAUTH [CAPABILITY IMAP4rev1 MOVE UNSELECT IDLE] hi\r\n"
					c, err := connectAs(t, scripted(t, plainDSN("localhost", "?tls=none"), append([]string{hello, "C: "}, answer...)...))
					require.NoError(t, err)
					err = send(c)
					require.Error(t, err, name)
					assert.Equal(t, c.IsValid(), !driver.IsBad(err), "%s: %v", name, err)
					assert.False(t, c.IsValid() && strings.Contains(answer[0], "BYE"), "%s: %v", name, err)
					assert.False(t, driver.SafeToRetry(err), "%s: %v", name, err)
				})
			}
		})
	}
}
