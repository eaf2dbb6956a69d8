package imap

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// doubtPause is the pause after a refusal that is doubted. A server that is
// restarted is away by then, or back.
const doubtPause = 2 * time.Second

// trust is what a connector knows of its credentials. Servers that are being
// stopped refuse good ones: a Dovecot without its auth process says
// AUTHENTICATIONFAILED. So a refusal after a success is doubted. Nobody logs in
// for a while then, so that no account is locked; the one who does it next is
// the probe. If that is refused as well, the refusal is permanent.
type trust struct {
	mu       sync.Mutex // guards the fields below
	accepted bool       // a login has succeeded
	probing  bool       // the probe is under way
	doubted  time.Time  // when the doubt began; zero: there is none
	refused  error      // what began it
}

// admit lets a login begin, as the probe or not, or returns why it must not.
func (t *trust) admit() (probe bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doubted.IsZero() {
		return false, nil
	}
	if left := doubtPause - time.Since(t.doubted); left > 0 || t.probing {
		return false, driver.Throttled(fmt.Errorf("imap: no login now, to see whether the server means it: %w", t.refused), max(left, doubtPause/10))
	}
	t.probing = true
	return true, nil
}

// judge gives the error of a login that was admitted its class, if it is
// a refusal.
func (t *trust) judge(probe bool, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if probe {
		t.probing = false
	}
	var refused refusal
	switch {
	case err == nil:
		t.accepted, t.doubted, t.refused = true, time.Time{}, nil
		return nil
	case !errors.As(err, &refused):
		return err
	case probe || !t.accepted:
		t.accepted, t.doubted, t.refused = false, time.Time{}, nil
		return driver.Permanent(err)
	case t.doubted.IsZero():
		t.doubted, t.refused = time.Now(), err
	}
	return driver.Throttled(err, doubtPause)
}
