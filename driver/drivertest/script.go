package drivertest

import (
	"context"
	"io"
	"net"
	"runtime"
	"time"
)

// Op is a call to a [Fake] that a test can script.
type Op int

// The calls, named after the methods.
const (
	Connect      Op = iota
	Ping            // FakeConn.Ping
	ResetSession    // FakeConn.ResetSession
	IsValid         // FakeConn.IsValid: any error of the step makes it false
	Use             // FakeConn.Use
	Close           // FakeConn.Close: the connection is closed whatever the step does
	ops             // the number of ops
)

var opNames = [ops]string{"Connect", "Ping", "ResetSession", "IsValid", "Use", "Close"}

// String returns the name of the method.
func (op Op) String() string { return opNames[op] }

// Step says what one scripted call does. If the step returns an error, so does the
// call; nil lets the call continue as if there were no script. ctx is the context of
// the call, or the background context for calls that have none. In a step of
// Connect, c is the connection being made. A Step runs on the caller's goroutine,
// without a lock, and many may run at once.
//
// Any function works: one that counts, sends on a channel, checks c.ID, or fails
// every third time.
type Step func(ctx context.Context, c *FakeConn) error

// Fail returns err. Mark err with [driver.Permanent], [driver.Throttled] or
// [driver.Full] to script such a server; see also [Fake.Room].
func Fail(err error) Step {
	return func(context.Context, *FakeConn) error { return err }
}

// Hang is a peer that does not answer: it blocks until ctx ends, or until the
// connection is closed or killed, and returns the reason.
func Hang(ctx context.Context, c *FakeConn) error {
	return HangUntil(nil)(ctx, c)
}

// HangUntil is like [Hang], but continues when it receives from gate: close gate
// to release every call, or send to release one.
func HangUntil(gate <-chan struct{}) Step {
	return func(ctx context.Context, c *FakeConn) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-c.closed:
			return net.ErrClosed
		case <-c.killed:
			return io.EOF
		}
	}
}

// StallUntil is a bad driver: it blocks until it receives from gate, whatever
// happens to ctx and the connection.
func StallUntil(gate <-chan struct{}) Step {
	return func(context.Context, *FakeConn) error {
		<-gate
		return nil
	}
}

// Delay is a slow peer: it continues after d, unless it ends early as [Hang] does.
func Delay(d time.Duration) Step {
	return func(ctx context.Context, c *FakeConn) error {
		gate := make(chan struct{})
		timer := time.AfterFunc(d, func() { close(gate) })
		defer timer.Stop()
		return HangUntil(gate)(ctx, c)
	}
}

// Panic panics with v.
func Panic(v any) Step {
	return func(context.Context, *FakeConn) error { panic(v) }
}

// Goexit ends the calling goroutine, as a failed assertion in a hook does.
func Goexit(context.Context, *FakeConn) error {
	runtime.Goexit()
	return nil
}

// script has the steps of one Op. Each call takes one from next; when none are left,
// it runs always.
type script struct {
	next   []Step
	always Step
}

// Next makes the next n calls of op do step, after the steps already set with
// Next. After them, op does the step of [Fake.Always] again. Next may be called at
// any time; it does not affect calls that have begun.
func (f *Fake) Next(op Op, n int, step Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.scripts[op].next = append(f.scripts[op].next, step)
	}
	f.scripted[op].Store(true)
}

// Always makes every call of op do step, once the steps set with [Fake.Next] are
// done. A nil step restores the healthy peer. Always may be called at any time; it
// does not affect calls that have begun.
func (f *Fake) Always(op Op, step Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts[op].always = step
	f.scripted[op].Store(true)
}

// play runs the step that is due for op.
func (f *Fake) play(ctx context.Context, op Op, c *FakeConn) error {
	if step := f.due(op); step != nil {
		return step(ctx, c)
	}
	return nil
}

// due takes the step for one call of op from the script. It returns nil for a healthy
// peer.
func (f *Fake) due(op Op) Step {
	if !f.scripted[op].Load() {
		return nil // without the lock, which would hide data races between callers
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.scripts[op]
	if len(s.next) == 0 {
		return s.always
	}
	step := s.next[0]
	s.next = s.next[1:]
	return step
}
