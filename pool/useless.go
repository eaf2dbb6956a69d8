package pool

import (
	"fmt"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// A connection is useless if it is dead at its first use and has received nothing:
// its peer, or a proxy in front of it, accepts connections and then closes them. The
// outage treats that as a failed Connect, because callers would otherwise make thousands
// of such connections a second.

// maxUselessAge is the age up to which a dead connection may count as useless. Older
// ones, such as spares that a firewall has dropped, cause no such storm.
const maxUselessAge = time.Minute

// received returns how many bytes raw has received, if it counts them.
func received(raw driver.Conn) (n int64, counted bool) {
	r, ok := raw.(driver.Receiver)
	if !ok {
		return 0, false
	}
	return r.Received(), true
}

// looksUseless reports whether raw, which died before or in its first lease, was
// useless. b is its birth. unsure is the result if raw does not count the bytes it
// receives. looksUseless must not be called under mu.
func (p *Pool[C]) looksUseless(raw driver.Conn, b *birth, unsure bool) bool {
	if p.now()-b.at > maxUselessAge {
		return false
	}
	n, counted := received(raw)
	return n == 0 && (counted || unsure)
}

// wastedLocked records in the outage that the connection of s was useless and died with
// err. It reports whether that counts as a failed Connect.
func (p *Pool[C]) wastedLocked(s *slot[C], err error) bool {
	p.total.useless++
	counts := p.outage.wasted(p.now(), s.birth, p.started, &uselessError{err}, p.openLocked()-1)
	p.simplifyLocked()
	return counts
}

// provedLocked records in the outage that the new connection of s proved useful.
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
