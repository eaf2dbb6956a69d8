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

// trace tells a logger the lines of a connection, without secrets. The bytes
// of literals, which is how mail travels, are left out.
type trace struct {
	log  logr.Logger
	sent lines // for the goroutine that writes
}

// newTrace returns nil if log drops what it is told, so that it costs nothing.
func newTrace(log logr.Logger, nc net.Conn) *trace {
	if !log.Enabled() {
		return nil
	}
	return &trace{log: log.WithValues("from", nc.LocalAddr().String(), "to", nc.RemoteAddr().String())}
}

// send tells what is written. authenticating is whether a login is under way.
func (t *trace) send(b []byte, authenticating bool) {
	if t == nil {
		return
	}
	t.sent.cut(b, authenticating, func(line string, inside, login bool) {
		if login {
			line = discreet(line, inside)
		}
		t.log.Info("imap sent", "line", line)
	})
}

// receive tells a line that was read; see lines.cut.
func (t *trace) receive(line string, inside, login bool) {
	if t == nil {
		return
	}
	if login {
		line = guarded(line, inside)
	}
	t.log.Info("imap received", "line", line)
}

// hidden stands for what must not be seen.
const hidden = "(hidden)"

// discreet is what may be seen of a line that the client sends to log in: tag,
// command and mechanism. inside is whether the line is the rest of another one.
func discreet(line string, inside bool) string {
	words := strings.Fields(line)
	if inside || len(words) < 2 { // the answer to a challenge is one word
		return hidden
	}
	open := 2
	if strings.EqualFold(words[1], "AUTHENTICATE") {
		open = 3
	}
	if len(words) > open {
		words = append(words[:open], hidden)
	}
	return strings.Join(words, " ")
}

// harmless matches the beginning of a line that the server sends during a
// login, up to where texts and challenges begin. A server may repeat there what
// it was sent. Capabilities are its own.
var harmless = regexp.MustCompile(`(?i)^(?:\* CAPABILITY .*|\+|(?:\*|T\d+) (?:OK|NO|BAD|BYE|PREAUTH)\b(?: \[(?:[A-Z-]+|CAPABILITY [^]]*)\])?)`)

// guarded is what may be seen of a line that the server sends during a login:
// its status, and its code. inside is as for discreet.
func guarded(line string, inside bool) string {
	shown := harmless.FindString(line)
	switch {
	case inside || shown == "":
		return hidden
	case shown == line:
		return line
	}
	return shown + " " + hidden
}

// lines cuts a stream of IMAP into lines and leaves out its literals, which
// are announced by their size at the end of a line: {5}, {5+} or ~{5}. After
// an announcement that the server refuses there is no literal, and nothing
// else either: go-imap closes the connection.
type lines struct {
	begun   []byte // of the present line
	skipped int    // bytes of it that were dropped behind the first shownHead
	literal int64  // bytes of a literal that are still to come
	inside  bool   // the present line is what follows a literal
	login   bool   // a part of it was sent or received during a login
}

// What is shown of a longer line.
const shownHead, shownTail = 1000, 100

// literalSize matches the announcement of a literal (RFC 9051 section 4.3).
var literalSize = regexp.MustCompile(`\{(\d+)\+?\}$`)

// prose matches the beginning of a line that ends in text for people, where an
// announcement means nothing: continuation requests, and responses of a status.
var prose = regexp.MustCompile(`(?i)^(?:\+|\S+ (?:OK|NO|BAD|BYE|PREAUTH)\b)`)

// cut calls emit for each line that b completes. login is whether b belongs to
// a login. inside tells emit that the line is what follows a literal.
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

// add adds part to the present line.
func (l *lines) add(part []byte) {
	l.begun = append(l.begun, part...)
	if over := len(l.begun) - shownHead - shownTail; over > 0 {
		l.begun = append(l.begun[:shownHead], l.begun[shownHead+over:]...)
		l.skipped += over
	}
}

// end ends the present line.
func (l *lines) end(emit func(line string, inside, login bool)) {
	line := string(bytes.TrimSuffix(l.begun, []byte("\r")))
	var announced []string
	if strings.HasSuffix(line, "}") && (l.inside || !prose.MatchString(line)) {
		announced = literalSize.FindStringSubmatch(line)
	}
	if l.skipped > 0 {
		line = fmt.Sprintf("%s (%d bytes) %s", line[:shownHead], l.skipped, line[shownHead:])
	}
	emit(line, l.inside, l.login)
	*l = lines{begun: l.begun[:0], inside: announced != nil}
	if l.inside {
		l.literal, _ = strconv.ParseInt(announced[1], 10, 64) // what is too big ends the connection
	}
}
