package keyed_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

func TestASnapshotIsTheSumOverTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, p := open(t, keyed.Config[string]{
			MaxOpen: 5, Group: "mail", Name: func(key string) string { return "user-" + key[:1] },
			PerKey: func(string) pool.Config { return pool.Config{MaxOpen: math.MaxInt, MaxIdle: 3, MinIdle: 1} },
		})
		start := time.Now()
		acquire(t, p, "ada")
		l := acquire(t, p, "eve")
		advance(time.Second) // each has its spare connection now
		l.Release()
		s := p.Snapshot()
		assert.Equal(t, "mail", s.Pool)
		assert.Equal(t, start, s.Opened)
		assert.Equal(t, "gate: 4 of 5 connections, 2 pools, 0 connects waiting", s.Gate)
		assert.Equal(t, pool.Gauges{MaxOpen: 5, Limit: 5, Open: 4, Idle: 3, Leased: 1}, s.Stats.Gauges)
		assert.EqualValues(t, 2, s.Stats.Acquires)
		assert.Equal(t, 2, s.MinIdle)
		assert.Equal(t, 6, s.MaxIdle)

		assert.Len(t, s.Conns, 4)
		assert.Zero(t, s.OldestWait)

		names := map[string]int{}
		for key, s := range p.Each {
			names[key] = s.Stats.Open
		}
		assert.Equal(t, map[string]int{"user-a": 2, "user-e": 2}, names)

		before := p.Snapshot()
		closing := make(chan struct{})
		servers.fake("eve").Always(drivertest.Close, drivertest.StallUntil(closing))
		p.Forget("eve")
		synctest.Wait()
		after := p.Snapshot()
		assert.Equal(t, 2, after.Stats.Closing, "it is being closed")
		assert.Equal(t, before.Stats.Acquires, after.Stats.Acquires)
		close(closing)
		synctest.Wait()
		after = p.Snapshot()
		assert.Equal(t, 2, after.Stats.Open)
		assert.Equal(t, before.Stats.Acquires, after.Stats.Acquires, "the counts of a forgotten key stay")
		assert.Equal(t, before.Stats.Closed.Shutdown+2, after.Stats.Closed.Shutdown)
		assert.Equal(t, before.ConnectTimes, after.ConnectTimes)

		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var waiting sync.WaitGroup
		for range 5 { // in addition to the lease of ada
			waiting.Go(func() { p.Acquire(ctx, "bob") })
		}
		advance(time.Second)
		assert.Equal(t, time.Second, p.Snapshot().OldestWait)
		waiting.Wait()
		p.Close()
		s = p.Snapshot()
		assert.Equal(t, pool.Closed, s.State)
		assert.EqualValues(t, 2+4, s.Stats.Acquires)
	})
}

func TestTheStateOfAllKeysSaysHowManyAreWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 5})
		acquire(t, p, "ada").Release()
		got := p.Snapshot()
		assert.Equal(t, pool.Healthy, got.State)
		assert.Empty(t, got.Why)
		for i, key := range []string{"eve", "ada"} {
			s.fake(key).Down(errors.New("no route"))
			s.fake(key).KillAll()
			p.Do(t.Context(), key, func(_ context.Context, c *conn) error { return driver.ErrBadConn })
			_, err := p.Acquire(t.Context(), key)
			require.Error(t, err)
			got = p.Snapshot()
			assert.Equal(t, "drivertest: connect: no route", got.LastError)
			assert.Equal(t, got.LastError, got.Errors[0].Text)
			assert.Equal(t, []pool.State{pool.Degraded, pool.Down}[i], got.State)
			assert.Equal(t, []string{"1 of 2 keys are down", "2 of 2 keys are down"}[i], got.Why)
		}
	})
}
