package endpoints

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
)

var (
	errLate    = errors.New("endpoints: another endpoint was faster")
	errExited  = errors.New("endpoints: the driver has called runtime.Goexit in Connect")
	errNoConn  = errors.New("the driver returned neither a connection nor an error")
	errUseless = errors.New("it accepted the connection, which was dead at its first use")
)

// unfitError wraps the error of Set.Want. It is neither permanent nor full, whatever
// that is: another server, or the same one later, may be fit.
type unfitError struct{ err error }

func (e *unfitError) Error() string { return "not wanted: " + driver.QuoteError(e.err).Error() }

// Is reports whether the error of Want is target.
func (e *unfitError) Is(target error) bool { return errors.Is(e.err, target) }

// panicError is a panic of a driver or of Want, in a goroutine of this package.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("endpoints: panic: %v", e.value) }

// connectError is the error of a Connect.
type connectError struct {
	text string
	errs []error // those of the endpoints that keep their class here
}

func (e *connectError) Error() string   { return e.text }
func (e *connectError) Unwrap() []error { return e.errs }

// errorsShown is how many endpoints the text of a connectError has.
const errorsShown = 4

// failure returns the error of a race that no try has won. errCtx is that of its
// context.
func (r *race) failure(errCtx error) error {
	causes, lookErr := r.causes()
	if len(causes) == 0 {
		return fmt.Errorf("endpoints: none is known: %w", errors.Join(lookErr, errCtx))
	}
	var lines []string
	var errs []error
	for _, c := range causes {
		lines = append(lines, c.String())
		errs = append(errs, c.err)
	}
	text := fmt.Sprintf("endpoints: none of %d gave a connection: %s", len(causes), strings.Join(lines[:min(len(lines), errorsShown)], "; "))
	if more := len(lines) - errorsShown; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if errCtx != nil {
		text += ": " + errCtx.Error()
	}
	return classify(text, errs, errCtx)
}

// cause is why an endpoint gave no connection.
type cause struct {
	addr  string
	err   error
	after string // "not tried for 10s", or ""
}

func (c cause) String() string {
	text := c.err.Error()
	if !strings.Contains(text, c.addr) {
		text = c.addr + ": " + text
	}
	return text + c.after
}

// causes returns what is known of each endpoint: the tried ones first, in the order
// in which they have failed. lookErr is the error of the last lookup.
func (r *race) causes() (causes []cause, lookErr error) {
	for _, t := range r.failed {
		causes = append(causes, cause{t.e.dialed(), t.err, ""})
	}
	for _, t := range r.running {
		causes = append(causes, cause{t.e.dialed(), t.late(), ""})
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	now := time.Now()
	for _, e := range r.c.endpoints {
		if r.tried[e] || e.status == Gone {
			continue
		}
		after := ""
		if e.turnAt(now) == barred {
			after = fmt.Sprintf(" (not tried for %v)", e.restEnds.Sub(now).Round(time.Second))
		}
		causes = append(causes, cause{e.dialed(), cmp.Or(e.cause, errNotTried), after})
	}
	return causes, r.c.lookErr
}

// errNotTried is the error of an endpoint whose turn did not come.
var errNotTried = errors.New("not tried, for want of time")

// classify returns the error with the text and the class that follows from those of
// all endpoints.
func classify(text string, errs []error, errCtx error) error {
	full, permanent, paused := false, true, true
	least := maxPause
	var plain []error
	for _, err := range errs {
		pause, asks := driver.RetryAfter(err)
		full = full || driver.IsFull(err)
		permanent = permanent && driver.IsPermanent(err)
		paused = paused && asks
		least = min(least, pause)
		if !asks && !driver.IsPermanent(err) {
			plain = append(plain, err)
		}
	}
	if errCtx != nil {
		errs, plain = append(errs, errCtx), append(plain, errCtx)
	}
	all := &connectError{text, errs}
	switch {
	case full:
		return driver.Full(all, least)
	case permanent:
		return driver.Permanent(all)
	case paused:
		return driver.Throttled(all, least)
	}
	return &connectError{text, plain}
}
