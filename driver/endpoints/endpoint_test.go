package endpoints

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
)

// Every status may follow every other, except that only untried follows gone.
func TestStatusesThatMayFollowEachOther(t *testing.T) {
	now := time.Now()
	errCause := errors.New("cause")
	for from := range Status(statuses) {
		for to := range Status(statuses) {
			e := &endpoint{failures: 3, restEnds: now.Add(time.Hour), barred: true}
			if to == Down || to == Full || to == Unfit {
				e.barred = false // otherwise a failure without a bar changes nothing
			}
			e.status = from
			changed := e.settle(to, errCause, now, now)
			want := to
			if from == Gone && to != Untried {
				want = Gone // until a lookup has it again
			}
			assert.Equal(t, want, e.status, "from %v to %v", from, to)
			assert.Equal(t, from != want, changed, "from %v to %v", from, to)
			if want == from && from == Gone {
				continue
			}
			assert.Equal(t, errCause, e.cause)
			switch want {
			case Untried, Up:
				assert.Equal(t, ready, e.turnAt(now))
				assert.Zero(t, e.failures)
			case Gone:
				assert.Equal(t, never, e.turnAt(now))
			case Refused:
				assert.Equal(t, barred, e.turnAt(now.Add(59*time.Second)))
				assert.Equal(t, ready, e.turnAt(now.Add(time.Minute)))
			default:
				assert.Equal(t, resting, e.turnAt(now))
				assert.Equal(t, 4, e.failures)
			}
		}
	}
}

func TestRestsDoubleUpToTenSeconds(t *testing.T) {
	e := &endpoint{}
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000} {
		now := time.Now()
		e.settle(Down, errors.New("refused"), now, now)
		assert.InEpsilon(t, want*time.Millisecond, e.restEnds.Sub(now), jitter, "after %d failures", i+1)
	}
	now := time.Now()
	e.settle(Full, driver.Full(errors.New("full"), time.Hour), now, now)
	assert.Equal(t, maxPause, e.restEnds.Sub(now), "no server may ask for more")
	assert.Equal(t, barred, e.turnAt(now))
}

// Each Connect to a server that accepts connections and closes them succeeds.
func TestAConnectDoesNotEndTheRestAfterAUselessConnection(t *testing.T) {
	now := time.Now()
	e := &endpoint{}
	for range 5 {
		e.settle(Up, nil, now, now)
		e.settle(Down, errUseless, now, now)
	}
	e.settle(Up, nil, now, now)
	assert.Equal(t, Down, e.status)
	assert.Equal(t, errUseless, e.cause)
	assert.Greater(t, e.restEnds.Sub(now), time.Second)
	e.settle(Up, nil, now, now.Add(time.Minute))
	assert.Equal(t, Up, e.status)
}
