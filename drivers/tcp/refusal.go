package tcp

import (
	"errors"
	"sync/atomic"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/internal/doubt"
)

// refusal is an error of a proxy that refused the user and password.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// proxyDoubt keeps track of the credentials for the proxy of a connector. If they
// have never worked, a refusal is permanent. If they have, it is permanent only if
// it lasts, because the proxy may have lost its user database. Until then the
// connector is throttled, because a few wrong passwords in a row lock an account.
type proxyDoubt struct {
	accepted atomic.Bool // the proxy has let a connection through
	refused  doubt.Doubt
}

// classify records err, the outcome of an attempt, and gives it a class if it is
// a refusal.
func (d *proxyDoubt) classify(err error) error {
	if !errors.As(err, new(refusal)) {
		d.accepted.CompareAndSwap(false, err == nil)
		return d.refused.Classify(err)
	}
	if !d.accepted.Load() {
		return driver.Permanent(err)
	}
	if err = d.refused.Classify(doubt.Mark(err)); driver.IsPermanent(err) {
		return err
	}
	return driver.Throttled(err, doubt.Patience)
}
