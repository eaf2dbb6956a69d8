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
	errExited  = errors.New("endpoints: the driver called runtime.Goexit in Connect")
	errNoConn  = errors.New("the driver returned neither a connection nor an error")
	errUseless = errors.New("the connection was dead at its first use")
)

// unfitError is an error of Set.Want. It hides the class of that error, because another
// server, or the same one later, may be fit.
type unfitError struct{ err error }

func (e *unfitError) Error() string { return "not wanted: " + driver.QuoteError(e.err).Error() }

// Is reports whether the error of Want matches target.
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
	errs []error // errors of endpoints, only those whose classes apply to the whole
}

func (e *connectError) Error() string   { return e.text }
func (e *connectError) Unwrap() []error { return e.errs }

// errorsShown is how many endpoints the text of a connectError lists.
const errorsShown = 4

// failure returns the error of a race that no try has won. errCtx is the error of its
// context.
func (r *race) failure(errCtx error) error {
	causes, lookErr := r.causes()
	if len(causes) == 0 {
		return fmt.Errorf("endpoints: no server is known: %w", errors.Join(lookErr, errCtx))
	}
	var lines []string
	var errs []error
	for _, c := range causes {
		lines = append(lines, c.String())
		errs = append(errs, c.err)
	}
	text := fmt.Sprintf("endpoints: no connection to any of %d servers: %s", len(causes), strings.Join(lines[:min(len(lines), errorsShown)], "; "))
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
	after string // " (next try in 10s)", or ""
}

func (c cause) String() string {
	text := c.err.Error()
	if !strings.Contains(text, c.addr) {
		text = c.addr + ": " + text
	}
	return text + c.after
}

// causes returns why each endpoint gave no connection: first the failed ones, in the
// order in which they failed, then those still being tried, then the others. lookErr is
// the error of the last lookup.
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
		if e.turnAt(now) == barred && now.Before(e.restEnds) {
			after = fmt.Sprintf(" (next try in %v)", e.restEnds.Sub(now).Round(time.Second))
		}
		causes = append(causes, cause{e.dialed(), cmp.Or(e.cause, errNotTried), after})
	}
	return causes, r.c.lookErr
}

// errNotTried is the error of an endpoint whose turn did not come.
var errNotTried = errors.New("not tried, because no time was left")

// classify returns an error with the text. Its class follows from errs, the errors of
// all endpoints; see rule 5 in the package doc.
func classify(text string, errs []error, errCtx error) error {
	full, permanent, paused := false, true, true
	least := maxPause
	var plain []error
	for _, err := range errs {
		pause, asks := driver.RetryAfter(err)
		refused := driver.IsPermanent(err)
		full = full || driver.IsFull(err)
		permanent = permanent && refused
		paused = paused && asks && !refused
		least = min(least, pause)
		if !asks && !refused {
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
