package imap_test

import (
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
)

// literalOf returns the body in m.
func literalOf(t testing.TB, m *imap.FetchMessage) goimap.LiteralReader {
	t.Helper()
	require.NotNil(t, m)
	for item := m.Next(); item != nil; item = m.Next() {
		if body, ok := item.(imapclient.FetchItemDataBodySection); ok {
			return body.Literal
		}
	}
	t.Fatal("no body")
	return nil
}

func methodsOf(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}

// go-imap itself allows five minutes for each message, and half a minute for each other
// response.
func TestAMessageMayTakeAsLongAsItsReaderLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("x", 100_000)
		c := playInMemory(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: FETCH", "* 1 FETCH (BODY[] {100000}\r\n"+text+")\r\nTAG OK\r\n")
		fetch := c.Fetch(goimap.SeqSetNum(1), body)
		literal := literalOf(t, fetch.Next())
		_, err := io.ReadFull(literal, make([]byte, 10))
		require.NoError(t, err)
		<-time.After(time.Hour)
		rest, err := io.ReadAll(literal)
		require.NoError(t, err)
		assert.Len(t, rest, len(text)-10)
		require.NoError(t, fetch.Close())
	})
}

func TestAnAnswerMayComeInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := playInMemory(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: NOOP", "TAG OK do", "1h", "ne\r\n")
		require.NoError(t, c.Noop().Wait())
	})
}

func TestAMessageMayTakeAsLongAsItsWriterLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := playInMemory(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: APPEND", "+ go on\r\n", "C: xxx", "TAG OK\r\n")
		text := strings.Repeat("x", 10_000) // more than go-imap buffers
		a := c.Append("INBOX", int64(len(text)), nil)
		<-time.After(time.Hour)
		_, err := io.WriteString(a, text)
		require.NoError(t, err)
		require.NoError(t, a.Close())
		_, err = a.Wait()
		require.NoError(t, err)
	})
}

// playInMemory returns a connection, in the fake time of a bubble, to a server that plays
// lines.
func playInMemory(t *testing.T, lines ...string) *imap.Conn {
	t.Helper()
	var nw memnet.Network
	server, err := testserver.Start(nw.Listen, "localhost:143", func(l net.Listener) {
		if c, err := l.Accept(); err == nil {
			play(c, lines)
		}
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	config, err := imap.ParseDSN(plainDSN("localhost", "?tls=none"))
	require.NoError(t, err)
	config.TCP.Dial = nw.DialContext
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	return c
}
