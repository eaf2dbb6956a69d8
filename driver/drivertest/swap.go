package drivertest

import (
	"slices"
	"testing"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/registry"
)

// Swap replaces the driver registered under name with d until t ends, so that
// a program under test opens a pool as usual and gets the fake:
//
//	fake := drivertest.NewFake(t)
//	drivertest.Swap(t, "imap", fake)
//
// It fails t if the name is not registered, because of a misspelling or
// a forgotten import. To register a new name, use [Register].
//
// The whole process shares the registry. So Swap panics in a parallel test, and
// a test that calls it can't become parallel. Swap calls t.Setenv to ensure this.
// A pool that is already open keeps its driver.
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
	previous := registry.Replace(name, d)
	t.Cleanup(func() { registry.Replace(name, previous) })
}

// Register registers d under name until t ends. It panics, as
// [driver.Register] does, if the name is empty or taken or if d is nil.
// Parallel tests may call it with different names.
func Register(t testing.TB, name string, d driver.Driver) {
	driver.Register(name, d)
	t.Cleanup(func() { registry.Replace(name, nil) })
}
