//go:build linux

package storm

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/pool"
)

// Storm is a server, a pool's limit, and a request.
type Storm[C any] struct {
	// Server must be running. Its own limit should be MaxOpen.
	Server *realserver.Server

	// MaxOpen is the limit of the pool.
	MaxOpen int

	// Connector returns a connector for addr, the address of the proxy.
	Connector func(addr string) (driver.Connector, error)

	// Exchange makes a request whose answer depends on n, and checks it. It returns
	// Wrong for the answer to another request. Each n is used once.
	Exchange func(ctx context.Context, c C, n int) error

	// Refused returns how many connections the server has refused because of its
	// limit, by its own count, since it was last started. Nil means that it has no
	// limit.
	Refused func() int

	// Slack is how many refused connections are allowed per phase. It is for a server
	// that counts processes: on a busy machine it may learn that one has exited only
	// after the driver's Settle. Zero means none.
	Slack int

	// MaxUses is the setting of the pool.
	MaxUses int

	// Cut is the number of bytes from the server after which limit_data ends
	// a connection. Zero means 500.
	Cut int

	// Patience is how long a request may take, including the wait for a connection.
	// Zero means 300 ms.
	Patience time.Duration
}

const (
	workers = 40

	// pause is the average wait of a worker between two requests. It leaves CPU time for
	// others.
	pause = 4 * time.Millisecond
)

// settings are the settings of the pool. A storm is short, so backoff and timeouts are
// short.
var settings = pool.Config{
	ConnectTimeout: 2 * time.Second,
	PingTimeout:    500 * time.Millisecond,
	ValidateAfter:  100 * time.Millisecond,
	KeepAlive:      time.Second,
	Backoff:        pool.Backoff{Initial: 20 * time.Millisecond, Max: 200 * time.Millisecond},
}

// Run runs the storm and logs the results.
func (s Storm[C]) Run(t *testing.T) {
	before := goleak.IgnoreCurrent()
	x := newProxy(t, s.Server.Addr)
	tally := &tally{}
	tally.phase("begin")
	connector, err := s.Connector(x.addr())
	require.NoError(t, err)
	cfg := settings
	cfg.MaxOpen, cfg.MaxUses = s.MaxOpen, s.MaxUses
	p, err := pool.New[C](watched{connector, tally}, cfg)
	require.NoError(t, err)

	stopSampling := tally.sample(s.Server)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { s.work(ctx, p, tally) }) // ends with ctx
	}
	s.runPhases(t, x, tally)
	cancel()
	working.Wait()

	s.wantAll(t, p, tally)
	stopSampling()
	stats := p.Stats()
	assert.Zero(t, stats.Leased, "connections in use after the storm")
	assert.NoError(t, p.Close())
	assert.Eventually(t, func() bool { return s.Server.Connections() == 0 }, 5*time.Second, 5*time.Millisecond, "the server has connections after Close")
	x.stop()
	goleak.VerifyNone(t, before, ofTheProxy)

	tally.report(t, stats)
	assert.Zero(t, tally.wrong.Load(), "wrong answers")
}

// phase is a kind of fault that is on for a while.
type phase struct {
	name    string
	on, off func()

	// hangsUp means that the proxy ends connections, perhaps only when the toxic is
	// removed. It first ends the client's side. For a moment the server still counts
	// the connection, and it may refuse the next one. No pool can know that.
	hangsUp bool
}

// runPhases runs the phases one after the other.
func (s Storm[C]) runPhases(t *testing.T, x *proxy, tally *tally) {
	phases := []phase{
		{name: "calm", on: func() {}, off: func() {}},
		x.phase("latency", `{"latency": 20, "jitter": 15}`),
		x.phase("slicer", `{"average_size": 8, "size_variation": 4, "delay": 200}`),
		x.phase("bandwidth", `{"rate": 8}`),
		x.phase("timeout", `{"timeout": 0}`), // a black hole
		x.phase("reset_peer", `{"timeout": 5}`),
		x.phase("limit_data", fmt.Sprintf(`{"bytes": %d}`, cmp.Or(s.Cut, 500))),
		{name: "kill -9", on: s.Server.Kill, off: s.Server.Start},
	}
	half := length(t) / time.Duration(2*len(phases))
	refused := 0 // since the server was last started
	for _, phase := range phases {
		tally.phase(phase.name)
		phase.on()
		wait(t.Context(), half)
		phase.off()
		answered := tally.answered.Load()
		wait(t.Context(), half)
		assert.Eventually(t, func() bool { return tally.answered.Load() > answered }, 10*time.Second, 5*time.Millisecond, "no answers after %s", phase.name)
		if phase.name == "kill -9" {
			refused = 0
		}
		more := s.refused() - refused
		refused += more
		tally.refuse(more)
		assert.True(t, more <= s.Slack || phase.hangsUp, "the server refused %d connections in %s", more, phase.name)
	}
}

func (s Storm[C]) refused() int {
	if s.Refused == nil {
		return 0
	}
	return s.Refused()
}

// work makes requests until ctx ends.
func (s Storm[C]) work(ctx context.Context, p *pool.Pool[C], tally *tally) {
	for ctx.Err() == nil {
		n := int(tally.requests.Add(1))
		limit := cmp.Or(s.Patience, 300*time.Millisecond)
		if n%10 == 0 { // abandoned halfway
			limit = rand.N(4 * time.Millisecond)
		}
		within, cancel := context.WithTimeout(ctx, limit)
		tally.count(ctx, p.Do(within, func(ctx context.Context, c C) error { return s.Exchange(ctx, c, n) }))
		cancel()
		wait(ctx, rand.N(2*pause))
	}
}

// wantAll leases MaxOpen connections at once, and makes a request on each.
func (s Storm[C]) wantAll(t *testing.T, p *pool.Pool[C], tally *tally) {
	tally.phase("after")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for i := range s.MaxOpen {
		lease, err := p.Acquire(ctx)
		if !assert.NoError(t, err, "connection %d of %d after the storm", i+1, s.MaxOpen) {
			return
		}
		defer lease.Release()
		assert.NoError(t, s.Exchange(ctx, lease.Conn(), int(tally.requests.Add(1))))
	}
	assert.Equal(t, s.MaxOpen, p.Stats().Open)
	all := func() bool { return s.Server.Connections() == s.MaxOpen } // a library may have others that are ending
	assert.Eventually(t, all, 5*time.Second, 5*time.Millisecond, "the server's connections")
}

// wait waits for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// length returns how long a storm takes.
func length(t testing.TB) time.Duration {
	text := os.Getenv("HOTLINE_STORM")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "HOTLINE_STORM")
	return d
}
