package pool

import (
	"fmt"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// A connection is useless if it is dead at its first use, with nothing received:
// its peer, or a proxy before that, accepts connections and closes them. To the
// outage that is a failed Connect, because callers would make thousands of such
// connections in a second.

// youth is the age up to which a dead connection may be called useless. Older
// ones, such as spares that a firewall has dropped, make no storm.
const youth = time.Minute

// received returns how much the peer of raw has sent, if raw counts that.
func received(raw driver.Conn) (n int64, counted bool) {
	r, ok := raw.(driver.Receiver)
	if !ok {
		return 0, false
	}
	return r.Received(), true
}

// looksUseless reports whether raw, made at birth and now dead in or before its
// first lease, was useless. unsure is the answer if raw does not say what it has
// received. It is called without mu.
func (p *Pool[C]) looksUseless(raw driver.Conn, b *birth, unsure bool) bool {
	if p.now()-b.at > youth {
		return false
	}
	n, counted := received(raw)
	return n == 0 && (counted || unsure)
}

// wastedLocked tells the outage of a useless connection, dead because of err. It
// reports whether that counts as a failed Connect.
func (p *Pool[C]) wastedLocked(s *slot[C], err error) bool {
	p.total.useless++
	counts := p.outage.wasted(p.now(), s.birth, p.started, &uselessError{err}, p.openLocked()-1)
	p.simplifyLocked()
	return counts
}

// provedLocked tells the outage of a new connection that was of use.
func (p *Pool[C]) provedLocked(s *slot[C]) {
	if p.outage.proved(s.birth) {
		p.outage.succeeded(p.now(), p.openLocked(), p.max, false)
		p.simplifyLocked()
		p.fillLocked()
	}
}

// uselessError is the connect error after a useless connection.
type uselessError struct{ err error }

func (e *uselessError) Error() string {
	return fmt.Sprintf("the server accepted the connection, but it was dead at its first use: %v", e.err)
}

func (e *uselessError) Unwrap() error { return e.err }
