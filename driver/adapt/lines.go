package adapt

import (
	"bufio"
	"bytes"
	"net"
)

// WholeLines wraps nc for a library that takes part of a line for a whole line if
// the connection ends in the middle of it, or a deadline passes. To such a library,
// the answer "213 39" may become "213 3". net/textproto is one, and so is all code
// that uses bufio.Reader.ReadLine.
//
// Read returns only lines whose line feed has arrived, except that lines longer than
// 4096 bytes come in pieces. It returns as many of them as fit, so that a library
// that checks its own buffer for unread answers finds them there.
func WholeLines(nc net.Conn) net.Conn { return &wholeLines{Conn: nc, r: bufio.NewReader(nc)} }

type wholeLines struct {
	net.Conn
	r    *bufio.Reader
	line []byte // the part of a line that Read has yet to return; in the buffer of r
}

// Read implements net.Conn.
func (l *wholeLines) Read(b []byte) (n int, err error) {
	for len(l.line) > 0 || n == 0 || l.hasLine() {
		if len(l.line) == 0 {
			if err := l.fill(); err != nil {
				return n, err
			}
			l.line, _ = l.r.ReadSlice('\n') // the whole buffer if that is full
		}
		copied := copy(b[n:], l.line)
		l.line = l.line[copied:]
		if n += copied; n == len(b) {
			break
		}
	}
	return n, nil
}

// fill reads until a whole line is in the buffer, or the buffer is full. After an
// error, such as a deadline, the part of a line stays there.
func (l *wholeLines) fill() error {
	for !l.hasLine() && l.r.Buffered() < l.r.Size() {
		if _, err := l.r.Peek(l.r.Buffered() + 1); err != nil {
			return err
		}
	}
	return nil
}

// hasLine reports whether a whole line is in the buffer.
func (l *wholeLines) hasLine() bool {
	buffered, _ := l.r.Peek(l.r.Buffered())
	return bytes.IndexByte(buffered, '\n') >= 0
}
