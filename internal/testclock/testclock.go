// Package testclock bounds how long something may take on a busy machine. It measures
// only the time in which the machine runs the test: a pause of the whole process is not
// the fault of what is tested.
package testclock

import (
	"sync/atomic"
	"testing"
	"time"
)

const (
	tick = time.Millisecond

	// longest is how much a tick can count. If it took longer, the process had to wait
	// for the processor.
	longest = 10 * tick
)

// Clock is a running clock. [Start] makes one.
type Clock struct {
	last time.Time // of the ticks
	ran  atomic.Int64
}

// Start starts a clock, which stops when t ends.
func Start(t testing.TB) *Clock {
	c := &Clock{last: time.Now()}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with t
		defer close(stopped)
		ticks := time.NewTicker(tick)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				c.count(time.Now())
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return c
}

// count counts the time since the last tick.
func (c *Clock) count(now time.Time) {
	c.ran.Add(int64(min(now.Sub(c.last), longest)))
	c.last = now
}

// Elapsed returns how long the clock has run.
func (c *Clock) Elapsed() time.Duration { return time.Duration(c.ran.Load()) }

// Await waits until ok returns true. It fails t after the time within.
func (c *Clock) Await(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := c.Elapsed() + within; !ok(); <-time.After(tick) {
		if c.Elapsed() >= end {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
