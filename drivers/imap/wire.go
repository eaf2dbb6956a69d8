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
	"github.com/hotline-go/hotline/driver"
)

// wire is the connection that the go-imap client reads and writes, above TLS. It does
// some things that the client does not do itself.
type wire struct {
	*conn.Conn
	trace *trace // nil: none

	// greeting is read before the first byte of the connection. It replaces the
	// greeting that startTLS has read.
	greeting []byte

	// loggedIn is set when the login is done. Before that, the peer may be anybody.
	loggedIn atomic.Bool

	// login holds the credentials of a login in progress. Nil: none.
	login atomic.Pointer[Credentials]

	// idle is the IDLE in progress. Nil: none.
	idle atomic.Pointer[idling]

	// client reads and writes. Nil until it is made.
	client atomic.Pointer[imapclient.Client]

	received lines                      // used by the goroutine that reads
	farewell atomic.Pointer[imap.Error] // the last line read, if it was a BYE
	notice   atomic.Pointer[imap.Error] // the last untagged NO or BAD of a login
	answers  atomic.Int64               // number of lines read, except BYE

	mu   sync.Mutex // guards head
	head []byte     // the first bytes read
}

const (
	headSize = 40       // enough to recognize another protocol
	maxEarly = 64 << 10 // bytes before the end of the login; usually there are a few hundred
)

var errTooEarly = fmt.Errorf("imap: the server sent more than %d bytes before the login was done", maxEarly)

// Read reads from the connection. It keeps the first bytes, and the farewell if the
// connection ends with one.
func (w *wire) Read(b []byte) (n int, err error) {
	if len(w.greeting) > 0 {
		n = copy(b, w.greeting)
		w.greeting = w.greeting[n:]
		w.keep(b[:n])
		return n, nil
	}
	if !w.loggedIn.Load() && w.Received() > maxEarly { // go-imap would keep a line of any length in memory
		return 0, errTooEarly
	}
	n, err = w.Conn.Read(b)
	if n > 0 {
		w.keep(b[:n])
		w.received.cut(b[:n], w.login.Load() != nil, w.receive)
	}
	return n, err
}

func (w *wire) keep(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head = append(w.head, b[:min(len(b), headSize-len(w.head))]...)
}

// receive handles a line that was read; see lines.cut.
func (w *wire) receive(line string, inside, login bool) {
	w.trace.receive(line, inside, login)
	w.idle.Load().receive(line)
	var bye *imap.Error
	if text, ok := cutPrefixFold(line, "* BYE"); ok && !inside {
		bye = status(imap.StatusResponseTypeBye, text)
	} else {
		w.answers.Add(1)
	}
	w.farewell.Store(bye)
	if notice := untagged(line); notice != nil && login && !inside {
		w.notice.Store(notice)
	}
}

// untagged returns the error in line if it is an untagged NO or BAD, or nil. It gives
// the reason for a NO that follows.
func untagged(line string) *imap.Error {
	if text, ok := cutPrefixFold(line, "* NO "); ok {
		return status(imap.StatusResponseTypeNo, text)
	}
	if text, ok := cutPrefixFold(line, "* BAD "); ok {
		return status(imap.StatusResponseTypeBad, text)
	}
	return nil
}

// answersWith returns answer, unless it is nil, and the other answers of the server: its
// notice during the login, and its farewell.
func (w *wire) answersWith(answer *imap.Error) (all []*imap.Error) {
	if answer != nil {
		all = append(all, answer)
	}
	if notice := w.notice.Load(); notice != nil && !w.loggedIn.Load() {
		all = append(all, notice)
	}
	if bye := w.bye(); bye != nil && (answer == nil || answer.Type != imap.StatusResponseTypeBye) {
		all = append(all, bye)
	}
	return all
}

// Write writes to the connection. It corrects an empty answer to a SASL challenge, which
// go-imap writes as "=", the form of an empty initial response (go-imap issue 760).
// Outside a login the same bytes may be mail.
func (w *wire) Write(b []byte) (n int, err error) {
	if w.idle.Load().drop(b) {
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

// readerTime is how long go-imap's reader gets to finish. It takes longer only if it has
// an answer that nobody reads.
const readerTime = 100 * time.Millisecond

// awaitReader waits for the end of go-imap's reader after a failed Write. go-imap's
// writer then ends all commands and closes their channels, on which the reader may be
// about to send.
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

// SetReadDeadline does nothing. go-imap would give its reader half a minute for each
// response and five minutes for each literal, but here contexts limit commands.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, for the same reason: go-imap would allow five minutes
// for the message of an APPEND.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// first returns the first line read, up to headSize bytes, without its end.
func (w *wire) first() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	line, _, _ := bytes.Cut(w.head, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r")))
}

// bye returns the farewell of the server, which go-imap drops, or nil: a BYE in the last
// line before the end, and not part of a message.
func (w *wire) bye() *imap.Error { return w.farewell.Load() }

// redact is [Credentials.redact] with the login in progress. It also quotes the
// server's text.
func (w *wire) redact(err error) error {
	if creds := w.login.Load(); creds != nil {
		err = creds.redact(err)
	}
	return driver.QuoteError(err)
}

// status returns the error for the text after a status such as BYE.
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

// cutPrefixFold is strings.CutPrefix ignoring case.
func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
