package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/pool/prometheus"
)

// keyedPools has the states of keys that the test sets.
type keyedPools map[string]pool.Snapshot

func (k keyedPools) Snapshot() pool.Snapshot { return pool.Snapshot{Pool: "group"} }
func (k keyedPools) Each(yield func(string, pool.Snapshot) bool) {
	for _, s := range k {
		if !yield(s.Pool, s) {
			return
		}
	}
}

// keys returns the keys that c exports. Their MinIdle has the ID of the pool.
func keys(t *testing.T, c *prometheus.Collector) map[string]float64 {
	found := make(map[string]float64)
	for id, v := range gather(t, c) {
		if rest, ok := strings.CutPrefix(id, "hotline_key_min_idle_connections{key="); ok {
			key, _, _ := strings.Cut(rest, ",pool=group")
			found[key] = v
		}
	}
	return found
}

func TestKeysAreFewAndKeepTheirLabels(t *testing.T) {
	all := keyedPools{"1": {Pool: "a", ID: 1, MinIdle: 1}, "2": {Pool: "a", ID: 2, MinIdle: 2}}
	c := prometheus.New()
	remove := c.AddKeys(all, 3)
	first := keys(t, c)
	assert.Equal(t, 2, len(first))
	assert.EqualValues(t, 3, first["a"]+first["a#2"], "two keys with the same name")
	for id := range uint64(10) {
		all[fmt.Sprint(id+3)] = pool.Snapshot{Pool: fmt.Sprint("b", id), ID: id + 3, MinIdle: int(id) + 3}
	}
	second := keys(t, c)
	assert.Len(t, second, 3)
	for range 3 {
		assert.Equal(t, second, keys(t, c), "the keys that are shown stay")
	}
	delete(all, "1")
	assert.Len(t, keys(t, c), 2)
	assert.Len(t, keys(t, c), 3, "another key takes the place")
	remove()
	assert.Empty(t, gather(t, c))
}

// measured is a pool that checks each scrape of it.
type measured struct {
	prometheus.Source
	mu   sync.Mutex
	last pool.Snapshot
}

func (m *measured) Snapshot() pool.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = m.Source.Snapshot()
	return m.last
}

// Pools and keys are opened, used, fail, are forgotten and are closed during scrapes. No
// counter may decrease, and idle and leased connections must add up to the open ones.
func TestScrapesUnderStressAreTrue(t *testing.T) {
	f := drivertest.NewFake(t)
	shared, err := pool.New[*conn](f, pool.Config{Name: "shared", MaxOpen: 4, AcquireTimeout: 2 * time.Millisecond})
	require.NoError(t, err)
	mail, err := keyed.Open[int, *conn](func(int) (driver.Connector, error) { return f, nil }, keyed.Config[int]{MaxOpen: 5, MaxKeys: 5, Group: "mail"})
	require.NoError(t, err)
	c := prometheus.New()
	sources := map[string]*measured{"shared": {Source: shared}, "mail": {Source: mail}}
	for _, s := range sources {
		c.Add(s)
	}
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				use := func(_ context.Context, c *conn) error {
					if rand.N(20) == 0 {
						return driver.ErrBadConn
					}
					return c.Use()
				}
				_ = shared.Do(ctx, use)
				_ = mail.Do(ctx, rand.N(20), use)
			}
		})
	}
	for range 4 {
		workers.Go(func() { // pools with the same name
			for ctx.Err() == nil {
				p, err := pool.New[*conn](f, pool.Config{Name: "short"})
				require.NoError(t, err)
				remove := c.Add(p)
				_ = p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() })
				assert.NoError(t, p.Close())
				if rand.N(2) == 0 {
					remove()
				}
			}
		})
	}
	last := make(map[string]float64)
	scrapes := 200
	if testing.Short() {
		scrapes = 50
	}
	for range scrapes {
		got := gather(t, c)
		for name, s := range sources {
			id := "hotline_pool_connections{pool=" + name + ",state="
			assert.EqualValues(t, s.last.Stats.Open, got[id+"idle}"]+got[id+"leased}"])
			all := got[id+"idle}"] + got[id+"leased}"] + got[id+"connecting}"] + got[id+"gated}"] + got[id+"closing}"]
			assert.True(t, name != "shared" || all <= 4, "%v connections; MaxOpen is 4", all)
		}
		for id, v := range got {
			if !strings.Contains(id, "pool=short") && (strings.Contains(id, "_total{") || strings.Contains(id, "_seconds{") && strings.Contains(id, "}_")) {
				assert.GreaterOrEqual(t, v, last[id], id)
				last[id] = v
			}
		}
	}
	stop()
	workers.Wait()
	for _, id := range []string{"shared", "mail"} {
		assert.Positive(t, last["hotline_pool_acquires_total{pool="+id+"}"])
		assert.Positive(t, last["hotline_pool_closed_connections_total{pool="+id+",reason=bad}"])
	}
	assert.Positive(t, last["hotline_pool_acquire_failures_total{pool=shared,reason=timeout}"]+last["hotline_pool_wait_duration_seconds{pool=shared}_count"])
	assert.NoError(t, shared.Close())
	assert.NoError(t, mail.Close())
	assert.Empty(t, gather(t, c), "closed pools have left")
}

// collect collects garbage until freed returns true. The runtime may keep a timer that was
// stopped, or the stack of a goroutine on its way out, for longer than one collection.
func collect(freed func() bool) {
	for range 200 {
		if runtime.GC(); freed() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestAPoolThatWasClosedOrRemovedIsFreed(t *testing.T) {
	c := prometheus.New()
	pools := make([]weak.Pointer[pool.Pool[*conn]], 100)
	for i := range pools {
		p, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{})
		require.NoError(t, err)
		remove := c.Add(p)
		require.NoError(t, p.Close())
		if i%2 == 0 {
			remove()
		}
		pools[i] = weak.Make(p)
	}
	assert.Empty(t, gather(t, c))
	collect(func() bool {
		return !slices.ContainsFunc(pools, func(p weak.Pointer[pool.Pool[*conn]]) bool { return p.Value() != nil })
	})
	for i, p := range pools {
		assert.Nil(t, p.Value(), "pool %d", i)
	}
	runtime.KeepAlive(c)
}

func TestNoLabelHasASecret(t *testing.T) {
	const secret = "s3cr3t-hunter2"
	f := drivertest.NewFake(t)
	f.Down(errors.New("login " + secret + " failed"))
	driver.Register("prometheus-secret", f)
	p, err := pool.Open[*conn]("prometheus-secret", "x://ada:"+secret+"@host/?password="+secret, pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	_, err = p.Acquire(t.Context())
	require.Error(t, err)
	c := prometheus.New(p)
	ch := make(chan prom.Metric, 100)
	c.Collect(ch)
	close(ch)
	for m := range ch {
		assert.NotContains(t, m.Desc().String(), secret)
	}
	for id := range gather(t, c) {
		assert.NotContains(t, id, secret)
	}
	assert.EqualValues(t, 1, gather(t, c)[`hotline_pool_state{pool=prometheus-secret host,state=down}`])
}

// BenchmarkCollect scrapes 1,000 pools with 4 connections each.
func BenchmarkCollect(b *testing.B) {
	f := drivertest.NewFake(b)
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("pools=%d", n), func(b *testing.B) {
			c := prometheus.New()
			for i := range n {
				p, err := pool.New[*conn](f, pool.Config{Name: fmt.Sprint("pool-", i)})
				require.NoError(b, err)
				require.NoError(b, p.Warm(b.Context(), 4))
				b.Cleanup(func() { p.Close() })
				c.Add(p)
			}
			reg := prom.NewRegistry()
			reg.MustRegister(c)
			b.ReportAllocs()
			for b.Loop() {
				_, err := reg.Gather()
				require.NoError(b, err)
			}
		})
	}
}
