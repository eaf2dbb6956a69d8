package conn

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// hooked calls its hooks before the operation itself.
type hooked struct {
	net.Conn
	onRead, onSetDeadline func()
}

func (h *hooked) Read(b []byte) (int, error) {
	if h.onRead != nil {
		h.onRead()
	}
	return h.Conn.Read(b)
}

func (h *hooked) SetDeadline(t time.Time) error {
	if h.onSetDeadline != nil {
		h.onSetDeadline()
	}
	return h.Conn.SetDeadline(t)
}

// newHooked returns a Conn over a hooked pipe, which the end of the test closes.
func newHooked(t *testing.T) (*Conn, *hooked) {
	nc, peer := net.Pipe()
	t.Cleanup(func() { nc.Close(); peer.Close() })
	h := &hooked{Conn: nc}
	return New(h), h
}

func TestUnbindWaitsForACancelInProgress(t *testing.T) {
	c, h := newHooked(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var done atomic.Bool
	h.onSetDeadline = func() {
		close(entered)
		<-release
		done.Store(true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	unbind := c.Bind(ctx)
	cancel()
	<-entered
	go func() {
		for range 100 {
			runtime.Gosched() // gives an unbind that doesn't wait time to return
		}
		close(release)
	}()
	unbind()
	assert.True(t, done.Load(), "unbind returned before the cancel")
	assert.False(t, c.IsValid())
}

// A cancel runs in its own goroutine, which may be late.
func TestLateCancelDoesNothing(t *testing.T) {
	c, _ := newHooked(t)
	first, cancel := context.WithCancel(t.Context())
	unbind := c.Bind(first)
	unbind()
	cancel()
	c.cancelFn()
	assert.True(t, c.IsValid(), "after unbind")

	second, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer c.Bind(second)()
	c.cancelFn()
	assert.True(t, c.IsValid(), "under the next Bind")
}

func TestCheckLeavesACancelInForce(t *testing.T) {
	c, h := newHooked(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer c.Bind(ctx)()
	h.onRead = func() {
		cancel()
		c.cancelFn()
	}
	assert.NoError(t, c.Check())
	h.onRead = nil
	_, err := c.Read(make([]byte, 1)) // would block if Check undid the cancel
	assert.ErrorIs(t, err, context.Canceled)
}
