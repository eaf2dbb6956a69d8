package retry_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errBusy is an error that belongs to no class.
var errBusy = errors.New("busy")

// script scripts the function for Do: its method run returns errs one after the
// other and counts its calls.
type script struct {
	errs  []error // the last one is repeated forever
	calls int
}

func fails(errs ...error) *script { return &script{errs: errs} }

func (s *script) run(context.Context) error {
	s.calls++
	return s.errs[min(s.calls, len(s.errs))-1]
}
