package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// slowAsk takes a second to get a connection and two for the request.
func slowAsk(ctx context.Context) (get, use time.Duration, err error) {
	wait(ctx, 3*time.Second)
	return time.Second, 2 * time.Second, ctx.Err()
}

func TestLoadCountsAndTimesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := load{slowAsk, 4, time.Minute}
		sum := l.run(t.Context(), 10*time.Second) // the last requests begin after 9 s
		assert.EqualValues(t, 16, sum.requests())
		assert.Zero(t, sum.errors)
		assert.Equal(t, 12*time.Second, sum.elapsed)
		assert.InDelta(t, 16.0/12, sum.perSecond(), 0.001)
		assert.InEpsilon(t, time.Second, sum.get.ValueAtQuantile(50), 0.01)
		assert.InEpsilon(t, 2*time.Second, sum.use.ValueAtQuantile(50), 0.01)
		assert.InEpsilon(t, 3*time.Second, sum.total.ValueAtQuantile(100), 0.01)
	})
}

func TestLoadGivesRequestsAtTheEndItsGraceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := load{slowAsk, 2, time.Second}
		sum := l.run(t.Context(), 10*time.Second)
		assert.Equal(t, 11*time.Second, sum.elapsed)
		assert.EqualValues(t, 6, sum.requests())
		assert.EqualValues(t, 2, sum.errors)
		assert.ErrorIs(t, sum.first, context.DeadlineExceeded)
	})
}

// On a busy machine, the time may be over before the first worker starts.
func TestEachWorkerMakesARequestHoweverShortTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := load{slowAsk, 4, time.Minute}
		assert.EqualValues(t, 4, l.run(t.Context(), 0).requests())
	})
}

func TestLoadGoesOnUntilTheOutageIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := load{slowAsk, 4, time.Minute}
		over := make(chan struct{})
		time.AfterFunc(20*time.Second, func() { close(over) })
		sum := l.runUntil(t.Context(), 10*time.Second, over) // the last requests begin after 18 s
		assert.EqualValues(t, 28, sum.requests())
		assert.Equal(t, 21*time.Second, sum.elapsed)
		assert.Equal(t, 12*time.Second, l.runUntil(t.Context(), 10*time.Second, over).elapsed)
	})
}

func TestLoadEndsWithItsContextAndDoesNotCountRequestsInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(4*time.Second, cancel).Stop()
		l := load{slowAsk, 2, time.Minute}
		sum := l.run(ctx, time.Hour)
		assert.Equal(t, 4*time.Second, sum.elapsed)
		assert.EqualValues(t, 2, sum.requests())
		assert.Zero(t, sum.errors)
	})
}

func TestLoadPausesAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		refuse := func(context.Context) (get, use time.Duration, err error) {
			n++
			return 0, 0, fmt.Errorf("refused %d", n)
		}
		l := load{refuse, 1, time.Minute}
		sum := l.run(t.Context(), time.Second)
		assert.EqualValues(t, time.Second/afterFailure, sum.errors)
		assert.Zero(t, sum.requests())
		assert.EqualError(t, sum.first, "refused 1")
	})
}

func TestViaPoolReleasesGoodAndDiscardsBadConnections(t *testing.T) {
	fake := drivertest.NewFake(t)
	p, err := pool.New[pinger](fake, pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	once := viaPool(p.Acquire, pingOnce)
	for range 3 {
		_, _, err = once(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, 1, fake.Counts().Connects)
	cause := errors.New("no pong")
	fake.Next(drivertest.Ping, 1, drivertest.Fail(cause))
	_, _, err = once(t.Context())
	require.ErrorIs(t, err, cause)
	_, _, err = once(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, fake.Counts().Connects)
	assert.EqualValues(t, 1, p.Stats().Closed.Bad)
	p.Close()
	_, _, err = once(t.Context())
	require.ErrorIs(t, err, pool.ErrClosed)
}

func TestViaConnectClosesEachConnection(t *testing.T) {
	fake := drivertest.NewFake(t)
	once := viaConnect(fake, 1, pingOnce)
	for range 3 {
		_, _, err := once(t.Context())
		require.NoError(t, err)
	}
	cause := errors.New("no pong")
	fake.Next(drivertest.Ping, 1, drivertest.Fail(cause))
	_, _, err := once(t.Context())
	require.ErrorIs(t, err, cause)
	fake.Next(drivertest.Connect, 1, drivertest.Fail(cause))
	_, _, err = once(t.Context())
	require.ErrorIs(t, err, cause)
	counts := fake.Counts()
	assert.Equal(t, 5, counts.Connects)
	assert.Equal(t, 4, counts.Closes)
}

func TestViaConnectHoldsItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		fake.Always(drivertest.Connect, drivertest.Delay(time.Second))
		l := load{viaConnect(fake, 2, pingOnce), 6, time.Minute}
		sum := l.run(t.Context(), time.Second) // one request each
		assert.EqualValues(t, 6, sum.requests())
		assert.Equal(t, 2, fake.Counts().Peak)
		assert.Equal(t, 3*time.Second, sum.elapsed)
		assert.InEpsilon(t, 3*time.Second, sum.get.ValueAtQuantile(100), 0.01) // waiting counts
	})
}

func TestViaConnectStopsWaitingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		fake.Always(drivertest.Connect, drivertest.Hang)
		l := load{viaConnect(fake, 1, pingOnce), 2, time.Second}
		sum := l.run(t.Context(), time.Second)
		assert.Equal(t, 2*time.Second, sum.elapsed)
		assert.EqualValues(t, 2, sum.errors)
		assert.Equal(t, 1, fake.Counts().Connects)
	})
}
