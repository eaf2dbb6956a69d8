package imap

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// doubtPause is the pause after a doubted error. By then a restarting server is down,
// or up again.
const doubtPause = 2 * time.Second

// trust decides which errors of a connector's logins are permanent.
//
// A server that is being stopped may refuse good credentials: a Dovecot without its
// auth process says AUTHENTICATIONFAILED. So a refusal after a success is doubted.
// A doubtful error is always doubted, unless the last login failed permanently. After
// a doubted error no login is tried for doubtPause, so that no account gets locked. The
// next login is the probe. If it fails in the same way, its error is permanent.
type trust struct {
	mu       sync.Mutex // guards the fields below
	accepted bool       // a login succeeded, and none has failed permanently since
	failed   bool       // a login failed permanently, and none has succeeded since
	probing  bool       // the probe is in progress
	doubted  time.Time  // time of the doubted error; zero: none
	because  error      // the doubted error
}

// admit lets a login begin, or returns the reason why it must not. If the login is the
// probe, because is the error that it is to confirm; otherwise it is nil.
func (t *trust) admit() (because, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doubted.IsZero() {
		return nil, nil
	}
	if left := doubtPause - time.Since(t.doubted); left > 0 || t.probing {
		return nil, driver.Throttled(fmt.Errorf("imap: waiting before another login, because of the last error: %w", t.because), max(left, doubtPause/10))
	}
	t.probing = true
	return t.because, nil
}

// classify gives the error of an admitted login its class, if it is a refusal or
// doubtful.
func (t *trust) classify(probe bool, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if probe {
		t.probing = false
	}
	isRefusal, isDoubtful := errors.As(err, new(refusal)), errors.As(err, new(doubtful))
	switch {
	case err == nil:
		t.accepted, t.failed, t.doubted, t.because = true, false, time.Time{}, nil
		return nil
	case !isRefusal && !isDoubtful:
		return err
	case t.isFinalLocked(probe, isRefusal):
		t.accepted, t.failed, t.doubted, t.because = false, true, time.Time{}, nil
		return driver.Permanent(err)
	case probe || t.doubted.IsZero():
		t.doubted, t.because = time.Now(), err
	}
	return driver.Throttled(err, doubtPause)
}

// isFinalLocked reports whether a refusal, or else a doubtful error, is permanent. The
// first refusal of credentials that were accepted before is not, even if it comes in
// the probe after a doubtful error.
func (t *trust) isFinalLocked(probe, isRefusal bool) bool {
	if t.failed || isRefusal && !t.accepted {
		return true
	}
	return probe && (!isRefusal || errors.As(t.because, new(refusal)))
}
