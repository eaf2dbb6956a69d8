package imap

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/conn"
)

// wire is what the go-imap client reads and writes: the connection, in plain
// text, with what that client does not do itself.
type wire struct {
	*conn.Conn
	trace *trace // nil: none

	// greeting is read before the first byte of the connection. It stands for
	// the greeting that STARTTLS has used up.
	greeting []byte

	// authenticating is true while a login is under way.
	authenticating atomic.Bool

	mu   sync.Mutex // guards tail
	tail []byte     // the end of what was read
}

// tailSize is enough for a line that says goodbye.
const tailSize = 512

// Read reads from the connection and keeps the end of it.
func (w *wire) Read(b []byte) (n int, err error) {
	if len(w.greeting) > 0 {
		n = copy(b, w.greeting)
		w.greeting = w.greeting[n:]
		return n, nil
	}
	n, err = w.Conn.Read(b)
	if n > 0 {
		w.trace.receive(b[:n], w.authenticating.Load())
		w.mu.Lock()
		w.tail = append(w.tail, b[max(0, n-tailSize):n]...)
		w.tail = w.tail[max(0, len(w.tail)-tailSize):]
		w.mu.Unlock()
	}
	return n, err
}

// Write writes to the connection. go-imap writes an empty answer to a SASL
// challenge as "=", which is the form of an empty initial response alone
// (go-imap issue 760). Outside of that exchange the same bytes may be mail.
func (w *wire) Write(b []byte) (int, error) {
	authenticating := w.authenticating.Load()
	w.trace.send(b, authenticating)
	if authenticating && string(b) == "=\r\n" {
		_, err := w.Conn.Write(b[1:])
		return len(b), err
	}
	return w.Conn.Write(b)
}

// last returns the last line that was read, without its end, and how many
// bytes were kept.
func (w *wire) last() (line string, kept int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := bytes.TrimRight(w.tail, "\r\n")
	return string(text[bytes.LastIndexByte(text, '\n')+1:]), len(w.tail)
}

// bye returns the farewell of the server, which go-imap drops, or nil. It is
// the last line before the end. An earlier one may be part of a message.
func (w *wire) bye() *imap.Error {
	line, _ := w.last()
	text, ok := cutPrefixFold(line, "* BYE")
	if !ok {
		return nil
	}
	return status(imap.StatusResponseTypeBye, text)
}

// status makes an error of the text behind a status such as BYE.
func status(kind imap.StatusResponseType, text string) *imap.Error {
	e := &imap.Error{Type: kind, Text: strings.TrimSpace(text)}
	if rest, ok := strings.CutPrefix(e.Text, "["); ok {
		if code, text, ok := strings.Cut(rest, "]"); ok {
			code, _, _ = strings.Cut(code, " ")
			e.Code, e.Text = imap.ResponseCode(strings.ToUpper(code)), strings.TrimSpace(text)
		}
	}
	return e
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
