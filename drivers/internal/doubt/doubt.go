// Package doubt decides when a connect error is permanent. A server that refuses
// may mean it, or it may be restarting: a load balancer without backends answers in
// plain text, a certificate is replaced before its authority, a clock is wrong
// until it is set. Such an error is permanent only if it lasts.
package doubt

import (
	"errors"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Patience is how long an error must last before it is permanent: longer than
// most restarts, but short enough that a misconfigured program fails soon.
const Patience = 10 * time.Second

// forget is the time after which an error is unrelated to the one before it. It is
// longer than the minute that a pool waits after a permanent error.
const forget = 2 * time.Minute

// Mark marks err as an error that is permanent only if it lasts. The message stays
// that of err.
func Mark(err error) error { return &fault{err} }

type fault struct{ err error }

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// Doubt keeps track of the marked errors of a connector. The zero Doubt is ready to
// use. It is safe for concurrent use.
type Doubt struct {
	mu    sync.Mutex // guards the fields below
	since time.Time  // time of the first of the marked errors in a row; zero means none
	last  time.Time  // time of the last one
}

// Classify records err, the outcome of an attempt, and returns it. The result is
// permanent if err is marked and all attempts for at least Patience have ended in
// marked errors.
func (d *Doubt) Classify(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !errors.As(err, new(*fault)) {
		d.since = time.Time{}
		return err
	}
	now := time.Now()
	if d.since.IsZero() || now.Sub(d.last) > forget {
		d.since = now
	}
	d.last = now
	if now.Sub(d.since) < Patience {
		return err
	}
	return driver.Permanent(err)
}
