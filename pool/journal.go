package pool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// keptErrors is how many errors a journal keeps.
const keptErrors = 10

// journal keeps the last errors for Snapshot. Guarded by Pool.mu.
type journal struct {
	errors  []ErrorInfo // oldest first
	connect ErrorInfo   // the last error of Connect, even if it is no longer in errors
}

// add records an error. text is the result of textOf.
func (j *journal) add(event, text string) ErrorInfo {
	if len(j.errors) == keptErrors {
		j.errors = slices.Delete(j.errors, 0, 1)
	}
	e := ErrorInfo{time.Now(), event, text}
	j.errors = append(j.errors, e)
	return e
}

// connectFailed records the failure of a Connect.
func (j *journal) connectFailed(f failure) { j.connect = j.add("connect", f.text) }

// note records the error that made a connection unusable, unless the journal already has
// it. It does nothing if the connection is closed for another reason.
func (p *Pool[C]) note(why reason) {
	if why.known || why.cause != bad && why.cause != invalid {
		return
	}
	event, text := "use", textOf(why.err)
	if _, ok := why.err.(*checkError); ok {
		event = "ping"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal.add(event, text)
}

// textOf returns the text of err in a form that is safe to show: short, and without
// control characters. It survives an Error method that panics. It must not be called
// under mu.
func textOf(err error) string {
	return driver.QuoteError(errors.New(fmt.Sprint(err))).Error()
}
