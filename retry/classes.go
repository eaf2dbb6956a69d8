package retry

import (
	"errors"
	"net"

	"github.com/cenkalti/backoff/v5"

	"github.com/hotline-go/hotline/driver"
)

// Safe reports whether nothing can have reached the peer when an attempt ended
// with err. It is the default of Policy.RetryIf. Safe errors are:
//
//   - errors that are safe by [driver.SafeToRetry]: [driver.ErrBadConn], and any
//     error whose SafeToRetry method returns true, such as the error of a pool
//     that found no connection;
//   - a failed dial of package net.
//
// An error whose SafeToRetry method returns false is not safe, even if it wraps
// a failed dial. Nor is a failed dial joined with other errors, because the
// others may come from a request.
func Safe(err error) bool {
	return driver.SafeToRetry(err) || isFailedDial(err)
}

func isFailedDial(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) {
		case interface{ SafeToRetry() bool }:
			return false // it said no, or driver.SafeToRetry would have returned true
		case *net.OpError:
			return e.Op == "dial"
		}
	}
	return false
}

// Always, as RetryIf, repeats an attempt after any error that is not permanent.
// It is for work that may be done twice: reads, and requests with a key by which
// the peer recognizes a repetition.
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

// isPermanent also recognizes backoff.Permanent, because users of a BackOff may
// use it too. Unlike backoff.Retry, Do leaves the mark and everything that wraps
// it in the error.
func isPermanent(err error) bool {
	var p *backoff.PermanentError
	return driver.IsPermanent(err) || errors.As(err, &p)
}
