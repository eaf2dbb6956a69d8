package pool

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"
)

// watch has the stack or the start of a lease. The pool makes one when a lease begins,
// if it records stacks or measures the lease. A watch never changes.
type watch struct {
	gen      uint64        // generation of the lease
	began    time.Duration // when Acquire ended, on the pool's clock
	measured bool          // Trace.Use gets the length of the lease
	callers  []uintptr     // the stack of Acquire; nil if stacks are not recorded
}

// maxStack is the maximum length of watch.callers.
const maxStack = 32

// isOf reports whether t belongs to the lease with the word w.
func (t *watch) isOf(w word) bool { return t != nil && t.gen == w.gen() }

// watched starts a watch of l, which the caller of Acquire is about to get, if one is
// needed. The Release of the lease that it returns then takes the slow path, which ends
// the watch.
func (p *Pool[C]) watched(l Lease[C]) Lease[C] {
	measured, armed := p.measures(), p.armed.Load()
	if !measured && !armed {
		return l
	}
	t := &watch{gen: l.word.gen(), measured: measured}
	if armed {
		var callers [maxStack]uintptr
		t.callers = slices.Clone(callers[:runtime.Callers(2, callers[:])])
		leases().Add(t, 2)
	}
	t.began = p.now()
	l.slot.watch.Store(t)
	if p.gate.Load() == closedGate { // forgetStacks may have run before Store
		t.forgetStack()
	}
	l.word &^= listed
	return l
}

// measures reports whether Trace.Use measures this lease.
func (p *Pool[C]) measures() bool {
	t := &p.cfg.Trace
	return t.Use != nil && (t.UseEvery <= 1 || rand.IntN(t.UseEvery) == 0)
}

// takeWatch removes and returns the watch of a lease that the caller has just ended.
func (s *slot[C]) takeWatch() *watch {
	if s.watch.Load() == nil {
		return nil
	}
	return s.watch.Swap(nil)
}

// used ends the watch t of a lease that has ended, and calls Trace.Use. t may be nil.
func (p *Pool[C]) used(t *watch) {
	if t == nil {
		return
	}
	t.forgetStack()
	if t.measured {
		p.cfg.Trace.Use(UseInfo{Pool: p.cfg.Name, Took: p.now() - t.began})
	}
}

// leases returns the pprof profile of all pools, which has the current leases that have
// a stack. Another copy of this package in the program may already have made it.
var leases = sync.OnceValue(func() *pprof.Profile {
	const name = "hotline.leases"
	if p := pprof.Lookup(name); p != nil {
		return p
	}
	return pprof.NewProfile(name)
})

// forgetStack removes the lease of t from the profile. It may be called more than once.
func (t *watch) forgetStack() {
	if t.callers != nil {
		leases().Remove(t)
	}
}

// forgetStacks removes all leases of p, which is closed, from the profile.
func (p *Pool[C]) forgetStacks() {
	for _, s := range *p.slots.Load() {
		if t := s.watch.Load(); t != nil {
			t.forgetStack()
		}
	}
}

// stack formats the stack of t, with two lines per function: its name and its position.
// It omits the functions of this package and of keyed at the top. It returns nothing if
// t is nil.
func (t *watch) stack() string {
	if t == nil || t.callers == nil {
		return ""
	}
	here := reflect.TypeFor[watch]().PkgPath()
	var b strings.Builder
	frames := runtime.CallersFrames(t.callers)
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		ours := strings.HasPrefix(f.Function, here+".") || strings.HasPrefix(f.Function, here+"/keyed.")
		if b.Len() > 0 || !ours {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
	}
	return b.String()
}
