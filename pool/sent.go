package pool

import (
	"errors"
	"net"

	"github.com/hotline-go/hotline/driver"
)

// Sent returns how many bytes were sent on the connection since the lease began, and
// whether the connection counts them (driver.Sender). The number includes bytes sent by
// OnAcquire and, on a new connection, by OnConnect. If nothing was sent, it is safe to
// retry the request on another connection. Sent panics after the end of the lease.
func (l Lease[C]) Sent() (n int64, counted bool) {
	l.Conn() // panics if the lease has ended
	return sent(l.slot.raw)
}

// sent returns how many bytes were sent on raw in this lease, if raw counts them.
func sent(raw driver.Conn) (n int64, counted bool) {
	s, ok := raw.(driver.Sender)
	if !ok {
		return 0, false
	}
	return s.Sent(), true
}

// notUnsent returns err. If err says that nothing was sent although the holder's
// function sent something on raw, notUnsent wraps err so that it is not safe to retry.
// Such an err comes from another connection, or from a driver that breaks the contract.
// before is the result of sent before the function ran.
func (p *Pool[C]) notUnsent(raw driver.Conn, before int64, err error) error {
	if !seemsUnsent(err) {
		return err
	}
	if n, _ := sent(raw); n == before {
		return err
	}
	p.log.V(1).Info("an error says that nothing was sent, but something was: it is not safe to retry", "error", err)
	return sentError{err}
}

// seemsUnsent reports whether err could be taken to mean that nothing was sent.
func seemsUnsent(err error) bool {
	var dial *net.OpError
	return driver.SafeToRetry(err) || errors.As(err, &dial) && dial.Op == "dial"
}

// sentError is an error that is not safe to retry, because something was sent.
type sentError struct{ error }

func (e sentError) Unwrap() error     { return e.error }
func (e sentError) SafeToRetry() bool { return false }
