package drivertest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// recorder is a test that may fail without failing the test it runs in.
type recorder struct {
	testing.TB
	ctx     context.Context
	errors  []string
	logs    []string
	skipped string

	mu       sync.Mutex // guards cleanups
	cleanups []func()
}

// record runs fn as a separate test and returns its recorder.
func record(t testing.TB, fn func(testing.TB)) *recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{TB: t, ctx: ctx}
	var wg sync.WaitGroup
	wg.Go(func() { fn(r) })
	wg.Wait()
	cancel()
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Log(args ...any)          { r.logs = append(r.logs, fmt.Sprint(args...)) }
func (r *recorder) Error(args ...any)        { r.errors = append(r.errors, fmt.Sprint(args...)) }

func (r *recorder) Cleanup(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, fn)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any) {
	r.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// runTest runs the body of a test in an example, and prints how it fails.
func runTest(fn func(testing.TB)) {
	for _, err := range record(nil, fn).errors {
		fmt.Println(err)
	}
}

// Setenv leaves the environment alone: a recorder is never parallel.
func (r *recorder) Setenv(string, string) {}
