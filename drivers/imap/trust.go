package imap

import (
	"errors"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// doubtPause is the pause after a refusal that is doubted. A server that is
// restarted is away by then, or back.
const doubtPause = 2 * time.Second

// trust is what a connector knows of its credentials. Servers that are being
// stopped refuse good ones: a Dovecot without its auth process says
// AUTHENTICATIONFAILED. So a refusal after a success is doubted, and is
// permanent only if a login after a pause is refused as well.
type trust struct {
	mu       sync.Mutex // guards the fields below
	accepted bool       // a login has succeeded
	doubted  time.Time  // when the first refusal after a success came; zero: none has
}

// judge gives err, with which a login that began then has ended, its class if
// it is a refusal.
func (t *trust) judge(began time.Time, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var refused refusal
	switch {
	case err == nil:
		t.accepted, t.doubted = true, time.Time{}
		return nil
	case !errors.As(err, &refused):
		return err
	case t.accepted && t.doubted.IsZero():
		t.doubted = time.Now()
	}
	if began.Before(t.doubted.Add(doubtPause)) {
		return driver.Throttled(err, doubtPause)
	}
	return driver.Permanent(err)
}
