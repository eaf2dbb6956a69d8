package imap

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
)

// trace logs the lines of a connection, without secrets. It leaves out literals, which
// carry mail.
type trace struct {
	log  logr.Logger
	sent lines // used by the goroutine that writes
}

// newTrace returns nil if log is disabled, so that a disabled trace costs nothing.
func newTrace(log logr.Logger, nc net.Conn) *trace {
	if !log.Enabled() {
		return nil
	}
	return &trace{log: log.WithValues("from", nc.LocalAddr().String(), "to", nc.RemoteAddr().String())}
}

// send logs the lines in b, which is sent. authenticating says whether a login is in
// progress.
func (t *trace) send(b []byte, authenticating bool) {
	if t == nil {
		return
	}
	t.sent.cut(b, authenticating, func(line string, inside, login bool) {
		if login {
			line = redactSent(line, inside)
		}
		t.log.Info("imap sent", "line", line)
	})
}

// receive logs a line that was received; see lines.cut.
func (t *trace) receive(line string, inside, login bool) {
	if t == nil {
		return
	}
	if login {
		line = redactReceived(line, inside)
	}
	t.log.Info("imap received", "line", line)
}

// hidden replaces text that must not be shown.
const hidden = "(hidden)"

// redactSent returns the part of a line sent in a login that may be shown: tag, command
// and mechanism. inside says whether the line is the rest of another one, after
// a literal.
func redactSent(line string, inside bool) string {
	words := strings.Fields(line)
	if inside || len(words) < 2 { // the answer to a challenge is one word
		return hidden
	}
	shown := 2
	if strings.EqualFold(words[1], "AUTHENTICATE") {
		shown = 3
	}
	if len(words) > shown {
		words = append(words[:shown], hidden)
	}
	return strings.Join(words, " ")
}

// harmless matches the beginning of a line that the server sends during a login, up to
// the text or challenge, which may repeat what the client sent. Capabilities are
// harmless.
var harmless = regexp.MustCompile(`(?i)^(?:\* CAPABILITY .*|\+|(?:\*|T\d+) (?:OK|NO|BAD|BYE|PREAUTH)\b(?: \[(?:[A-Z-]+|CAPABILITY [^]]*)\])?)`)

// redactReceived returns the part of a line received in a login that may be shown: its
// status and its code. inside is as for redactSent.
func redactReceived(line string, inside bool) string {
	shown := harmless.FindString(line)
	switch {
	case inside || shown == "":
		return hidden
	case shown == line:
		return line
	}
	return shown + " " + hidden
}

// lines cuts an IMAP stream into lines and leaves out literals. The end of a line
// announces a literal by its size: {5}, {5+} or ~{5}. If the server refuses a literal,
// neither it nor anything else follows, because go-imap closes the connection.
type lines struct {
	line    []byte // the current line so far
	skipped int    // number of bytes dropped from it, after the first shownHead
	literal int64  // bytes of a literal still to come
	inside  bool   // the current line follows a literal
	login   bool   // part of it was sent or received during a login
}

// A longer line is shown without its middle: only this many bytes of its beginning and
// end.
const shownHead, shownTail = 1000, 100

// literalSize matches the announcement of a literal (RFC 9051 section 4.3).
var literalSize = regexp.MustCompile(`\{(\d+)\+?\}$`)

// textLine matches the beginning of a line that ends in text for humans, which can't
// announce a literal: continuation requests and status responses.
var textLine = regexp.MustCompile(`(?i)^(?:\+|\S+ (?:OK|NO|BAD|BYE|PREAUTH)\b)`)

// cut calls emit for each line that b completes. login says whether b is part of
// a login. emit's inside says whether the line follows a literal.
func (l *lines) cut(b []byte, login bool, emit func(line string, inside, login bool)) {
	for len(b) > 0 {
		if l.literal > 0 {
			n := min(l.literal, int64(len(b)))
			l.literal -= n
			b = b[n:]
			continue
		}
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		l.login = l.login || login
		l.add(part)
		b = rest
		if whole {
			l.end(emit)
		}
	}
}

// add adds part to the current line.
func (l *lines) add(part []byte) {
	l.line = append(l.line, part...)
	if over := len(l.line) - shownHead - shownTail; over > 0 {
		l.line = append(l.line[:shownHead], l.line[shownHead+over:]...)
		l.skipped += over
	}
}

// end ends the current line.
func (l *lines) end(emit func(line string, inside, login bool)) {
	line := string(bytes.TrimSuffix(l.line, []byte("\r")))
	var announced []string
	if strings.HasSuffix(line, "}") && (l.inside || !textLine.MatchString(line)) {
		announced = literalSize.FindStringSubmatch(line)
	}
	if l.skipped > 0 {
		line = fmt.Sprintf("%s (%d bytes) %s", line[:shownHead], l.skipped, line[shownHead:])
	}
	emit(line, l.inside, l.login)
	*l = lines{line: l.line[:0], inside: announced != nil}
	if l.inside {
		l.literal, _ = strconv.ParseInt(announced[1], 10, 64) // too big a number ends the connection
	}
}
