package testclock

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAClockRunsLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t)
		<-time.After(time.Minute)
		synctest.Wait()
		assert.Equal(t, time.Minute, c.Elapsed())
	})
}

func TestAPauseOfTheProcessDoesNotCount(t *testing.T) {
	began := time.Now()
	c := &Clock{last: began}
	c.count(began.Add(2 * time.Millisecond))
	c.count(began.Add(time.Second))
	assert.Equal(t, 2*time.Millisecond+longest, c.Elapsed())
	c.count(began.Add(time.Second + 3*time.Millisecond))
	assert.Equal(t, 5*time.Millisecond+longest, c.Elapsed())
}

// failure is a test that fails.
type failure struct {
	testing.TB
	failed bool
}

func (f *failure) Helper()               {}
func (f *failure) Fatalf(string, ...any) { f.failed = true; panic(f) }

func TestAwaitFailsTheTestInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t)
		began := time.Now()
		c.Await(t, time.Minute, "a second", func() bool { return time.Since(began) >= time.Second })
		assert.Equal(t, time.Second, time.Since(began))
		f := &failure{}
		assert.PanicsWithValue(t, f, func() { c.Await(f, time.Minute, "never", func() bool { return false }) })
		assert.True(t, f.failed)
		assert.InDelta(t, time.Minute+time.Second, time.Since(began), float64(10*time.Millisecond))
	})
}
