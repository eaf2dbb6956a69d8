package adapt

import (
	"errors"

	"github.com/hotline-go/hotline/driver"
)

// ByCode returns a [Client.Class] for a library whose errors have a type E with
// a code, such as a three-digit number. marks has the function that marks the errors
// of a code: [driver.Permanent], [Full], or your own. Errors of other types and other
// codes stay unmarked.
func ByCode[E error, K comparable](code func(E) K, marks map[K]func(error) error) func(error) error {
	return func(err error) error {
		var e E
		if errors.As(err, &e) {
			if mark := marks[code(e)]; mark != nil {
				return mark(err)
			}
		}
		return err
	}
}

// Full is [driver.Full] for a server that does not say how long to wait. Use it
// in the marks of [ByCode].
func Full(err error) error { return driver.Full(err, 0) }

// IsA reports whether err, or an error that it wraps, is an E. Use it as the
// [Client.Answer] of a library whose errors of type E are answers of the server.
func IsA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
