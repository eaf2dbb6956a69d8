package imap

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

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

	// welcome is true once we are logged in. Before that, who is at the other
	// end may be anybody.
	welcome atomic.Bool

	// login are the credentials of a login that is under way. Nil: none.
	login atomic.Pointer[Credentials]

	// idle is an IDLE that is under way. Nil: none.
	idle atomic.Pointer[idling]

	// client is who reads and writes. Nil until it is made.
	client atomic.Pointer[imapclient.Client]

	received lines                      // for the goroutine that reads
	farewell atomic.Pointer[imap.Error] // the last line that was read, if it is a BYE
	answers  atomic.Int64               // lines that were read, except BYE

	mu   sync.Mutex // guards head
	head []byte     // the beginning of what was read
}

const (
	headSize = 40       // enough to tell another protocol
	maxEarly = 64 << 10 // bytes before the end of the login; the usual are some hundred
)

var errTooEarly = fmt.Errorf("imap: the server sent more than %d bytes before the login was done", maxEarly)

// Read reads from the connection, and keeps what it began with and whether it
// ended with a farewell.
func (w *wire) Read(b []byte) (n int, err error) {
	if len(w.greeting) > 0 {
		n = copy(b, w.greeting)
		w.greeting = w.greeting[n:]
		w.keep(b[:n])
		return n, nil
	}
	if !w.welcome.Load() && w.Received() > maxEarly { // go-imap would take a line of any length into memory
		return 0, errTooEarly
	}
	n, err = w.Conn.Read(b)
	if n > 0 {
		w.keep(b[:n])
		w.received.cut(b[:n], w.login.Load() != nil, w.hear)
	}
	return n, err
}

func (w *wire) keep(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head = append(w.head, b[:min(len(b), headSize-len(w.head))]...)
}

// hear is told each line that was read; see lines.cut.
func (w *wire) hear(line string, inside, login bool) {
	w.trace.receive(line, inside, login)
	w.idle.Load().hear(line)
	var bye *imap.Error
	if text, ok := cutPrefixFold(line, "* BYE"); ok && !inside {
		bye = status(imap.StatusResponseTypeBye, text)
	} else {
		w.answers.Add(1)
	}
	w.farewell.Store(bye)
}

// Write writes to the connection. go-imap writes an empty answer to a SASL
// challenge as "=", which is the form of an empty initial response alone
// (go-imap issue 760). Outside of that exchange the same bytes may be mail.
func (w *wire) Write(b []byte) (n int, err error) {
	if w.idle.Load().leaveOut(b) {
		return len(b), nil
	}
	authenticating := w.login.Load() != nil
	w.trace.send(b, authenticating)
	if authenticating && string(b) == "=\r\n" {
		n, err = w.Conn.Write(b[1:])
		n++
	} else {
		n, err = w.Conn.Write(b)
	}
	if err != nil {
		w.awaitReader()
	}
	return n, err
}

// readerTime is what go-imap's reader has for what it holds. It takes longer
// only if it has an answer for somebody who does not come for it.
const readerTime = 100 * time.Millisecond

// awaitReader waits for the end of go-imap's reader after a failed Write. The
// writer ends all commands then, and the reader may be about to send on
// a channel that is closed with them.
func (w *wire) awaitReader() {
	client := w.client.Load()
	if client == nil {
		return
	}
	_ = w.Conn.Close()
	select {
	case <-client.Closed():
	case <-time.After(readerTime):
	}
}

// SetReadDeadline does nothing. go-imap gives each response half a minute, and
// each literal five, in which its reader has to be done with it. Here contexts
// end commands.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, for the same reason: go-imap gives the message
// of an APPEND five minutes.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// first returns the first line that was read, up to headSize, without its end.
func (w *wire) first() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	line, _, _ := bytes.Cut(w.head, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r")))
}

// bye returns the farewell of the server, which go-imap drops, or nil. It is
// the last line before the end, and no part of a message.
func (w *wire) bye() *imap.Error { return w.farewell.Load() }

// hush is [Credentials.hush] of the login that is under way.
func (w *wire) hush(err error) error {
	if creds := w.login.Load(); creds != nil {
		return creds.hush(err)
	}
	return err
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
