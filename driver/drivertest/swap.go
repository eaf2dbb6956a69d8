package drivertest

import (
	"slices"
	"testing"

	"github.com/hotline-go/hotline/driver"
)

// Swap puts d in the place of the driver registered under name until t ends,
// so that a program under test opens a pool as ever and gets the fake:
//
//	fake := drivertest.NewFake(t)
//	drivertest.Swap(t, "imap", fake)
//
// It fails t if nobody registered the name, which is a misspelt name or
// a forgotten import; for a name of the test's own see [Register].
//
// The registry belongs to the whole process. Swap is not for parallel tests
// that share the name, so it panics in a parallel test, and a test that calls
// it can't become parallel. The reason is that of t.Setenv, which it uses to
// find out. A pool opened before keeps the driver that it has.
func Swap(t testing.TB, name string, d driver.Driver) {
	t.Helper()
	if d == nil {
		t.Fatalf("drivertest: Swap(%q) with a nil driver", name)
	}
	if registered := driver.Drivers(); !slices.Contains(registered, name) {
		t.Fatalf("drivertest: Swap(%q): no driver has that name (registered: %q); import its package, or use drivertest.Register",
			name, registered)
	}
	t.Setenv("DRIVERTEST_SWAP", name) // panics in a parallel test
	previous := driver.Replace(name, d)
	t.Cleanup(func() { driver.Replace(name, previous) })
}

// Register registers d under name until t ends. It panics, as
// [driver.Register] does, if the name is empty or taken or if d is nil.
// Parallel tests may call it, each with a name of its own.
func Register(t testing.TB, name string, d driver.Driver) {
	driver.Register(name, d)
	t.Cleanup(func() { driver.Replace(name, nil) })
}
