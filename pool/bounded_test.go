package pool

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

type ctxKey struct{}

func TestBoundedContextEndsAfterItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &boundedContext{Context: context.WithValue(context.Background(), ctxKey{}, "v"), limit: time.Second}
		defer b.release()
		assert.NoError(t, b.Err())
		assert.Equal(t, "v", b.Value(ctxKey{}))
		<-time.After(time.Minute)
		assert.NoError(t, b.Err(), "without a use of Done or Deadline, it has no timer and does not end")

		deadline, ok := b.Deadline()
		assert.True(t, ok)
		assert.Equal(t, time.Second, time.Until(deadline), "the limit runs from the first use")
		assert.Equal(t, "v", b.Value(ctxKey{}))
		<-b.Done()
		assert.Zero(t, time.Until(deadline))
		assert.Equal(t, context.DeadlineExceeded, b.Err())
		assert.NoError(t, b.Context.Err())
	})
}

func TestBoundedContextEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		b := &boundedContext{Context: parent, limit: time.Hour}
		defer b.release()
		deadline, _ := b.Deadline()
		assert.Equal(t, time.Minute, time.Until(deadline), "the deadline of the parent comes first")
		cancel()
		<-b.Done()
		assert.Equal(t, context.Canceled, b.Err())

		unasked := &boundedContext{Context: parent, limit: time.Hour}
		assert.Equal(t, context.Canceled, unasked.Err())
		unasked.release()
	})
}

func TestReleaseEndsABoundedContextThatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &boundedContext{Context: context.Background(), limit: time.Hour}
		done := b.Done()
		b.release()
		<-done
		assert.Equal(t, context.Canceled, b.Err())
	})
}

// A driver usually derives its own context.
func TestBoundedContextIsWatchedByNoGoroutine(t *testing.T) {
	b := &boundedContext{Context: context.Background(), limit: time.Hour}
	defer b.release()
	before := runtime.NumGoroutine()
	var last context.Context
	for range 50 {
		ctx, cancel := context.WithCancelCause(b)
		defer cancel(errors.New("done"))
		last = ctx
	}
	assert.Less(t, runtime.NumGoroutine(), before+25)
	b.release()
	<-last.Done()
	assert.Equal(t, context.Canceled, last.Err())
}

// The common case: a ResetSession that does no I/O uses neither deadline nor Done.
func TestUnusedBoundedContextMakesNoTimer(t *testing.T) {
	b := &boundedContext{Context: context.Background(), limit: time.Hour}
	assert.NoError(t, b.Err())
	assert.Nil(t, b.Value(ctxKey{}))
	assert.Nil(t, b.made())
	b.release()
}

// BenchmarkContextOfAReset shows what the lazy context saves: for a ResetSession
// without I/O, a timer would cost more than all of Acquire.
func BenchmarkContextOfAReset(b *testing.B) {
	reset := func(context.Context) error { return nil }
	b.Run("context=bounded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx := &boundedContext{Context: context.Background(), limit: time.Second}
			reset(ctx)
			ctx.release()
		}
	})
	b.Run("context=WithTimeout", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			reset(ctx)
			cancel()
		}
	})
}
