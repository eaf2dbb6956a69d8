package imap

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
)

// newWire returns a wire and the other end of it.
func newWire(t *testing.T) (*wire, net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	return &wire{Conn: conn.New(near)}, far
}

func TestAnEmptySASLAnswerIsAnEmptyLine(t *testing.T) {
	w, far := newWire(t)
	for _, tc := range []struct {
		authenticating bool
		write, want    string
	}{
		{true, "=\r\n", "\r\n"},
		{true, "AAA=\r\n", "AAA=\r\n"},
		{false, "=\r\n", "=\r\n"}, // the end of a line of mail
	} {
		if tc.authenticating {
			w.login.Store(&Credentials{})
		} else {
			w.login.Store(nil)
		}
		go func() {
			n, err := w.Write([]byte(tc.write))
			assert.NoError(t, err)
			assert.Equal(t, len(tc.write), n)
		}()
		buffer := make([]byte, 100)
		n, err := far.Read(buffer)
		require.NoError(t, err)
		assert.Equal(t, tc.want, string(buffer[:n]))
	}
}

func TestANoticeIsASeparateLineDuringALogin(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		login      bool
		want       string
	}{
		{"no", "* NO so\r\n", true, "imap: NO so"},
		{"bad, and another line", "* bad [CLIENTBUG] so\r\n* OK\r\n", true, "imap: BAD [CLIENTBUG] so"},
		{"after a literal", "* LIST () {3}\r\nabc* NO so\r\n", true, ""},
		{"an answer", "T1 NO so\r\n", true, ""},
		{"a word", "* NOTHING so\r\n", true, ""},
		{"later", "* NO so\r\n", false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, far := newWire(t)
			if tc.login {
				w.login.Store(&Credentials{})
			}
			go func() { _, _ = far.Write([]byte(tc.text)) }()
			_, err := w.Read(make([]byte, 700))
			require.NoError(t, err)
			if tc.want == "" {
				assert.Empty(t, w.answersWith(nil))
				return
			}
			require.Len(t, w.answersWith(nil), 1)
			assert.EqualError(t, w.answersWith(nil)[0], tc.want)
		})
	}
}

func TestTheFarewellIsTheLastLine(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"alone", "* BYE so long\r\n", "imap: BYE so long"},
		{"with a code", "T1 OK done\r\n* bye [Unavailable x] soon\r\n", "imap: BYE [UNAVAILABLE] soon"},
		{"without a text", "* BYE\r\n", "imap: BYE <unknown>"},
		{"before another line", "* BYE so long\r\nT1 OK\r\n", ""},
		{"in a message", "* 1 FETCH (BODY[] {1000}\r\nSubject: x\r\n\r\n* BYE Too many connections\r\n", ""},
		{"after a message", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n* BYE so long\r\n", "imap: BYE so long"},
		{"after a message, in its line", "* 1 FETCH (BODY[] {3}\r\nabc* BYE so long\r\n", ""},
		{"none", "* OK hi\r\n", ""},
		{"after a long line", strings.Repeat("x", 5000) + "\r\n* BYE so long\r\n", "imap: BYE so long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, far := newWire(t)
			go func() { _, _ = far.Write([]byte(tc.text)) }()
			for got := 0; got < len(tc.text); {
				n, err := w.Read(make([]byte, 700))
				require.NoError(t, err)
				got += n
			}
			bye := w.bye()
			if tc.want == "" {
				assert.Nil(t, bye)
				return
			}
			assert.EqualError(t, bye, tc.want)
		})
	}
}
