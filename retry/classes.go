package retry

import (
	"errors"
	"net"

	"github.com/cenkalti/backoff/v5"

	"github.com/hotline-go/hotline/driver"
)

// Safe reports whether nothing can have reached the peer when an attempt ended
// with err. It is what a Policy without RetryIf repeats:
//
//   - what [driver.SafeToRetry] says yes to: [driver.ErrBadConn], and any error
//     that says so of itself, as that of a pool that found no connection does;
//   - a failed dial of package net.
//
// An error that says of itself that it isn't safe is believed, also where it
// wraps a failed dial. A failed dial that is one of several joined errors
// doesn't count, because the others may come from a request.
func Safe(err error) bool {
	return driver.SafeToRetry(err) || isFailedDial(err)
}

func isFailedDial(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) {
		case interface{ SafeToRetry() bool }:
			return false // it would have said yes above
		case *net.OpError:
			return e.Op == "dial"
		}
	}
	return false
}

// Always, as RetryIf, repeats an attempt whatever its error, unless that is
// permanent. It is for work that may be done twice: reads, and requests that
// carry a key by which the peer knows them again.
func Always(error) bool { return true }

// repeatable reports whether the class of err allows another attempt.
func (p *Policy) repeatable(err error) bool {
	switch {
	case isPermanent(err):
		return false
	case p.RetryIf != nil:
		return p.RetryIf(err)
	}
	return Safe(err)
}

// isPermanent counts the mark of package backoff as well: whoever plugs in its
// BackOff may use its Permanent, and means it. Unlike backoff.Retry, Do leaves
// the mark and all that wraps it in the error.
func isPermanent(err error) bool {
	var p *backoff.PermanentError
	return driver.IsPermanent(err) || errors.As(err, &p)
}
