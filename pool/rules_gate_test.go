package pool_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// countingGate gives a permit to every caller, and counts the permits.
type countingGate struct {
	mu    sync.Mutex // guards the fields below
	given int
	left  int
	twice int // number of permits given back more than once
}

type countedPermit struct {
	gate *countingGate
	left bool // guarded by gate.mu
}

func (g *countingGate) Enter(context.Context, pool.Member) (pool.Permit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given++
	return &countedPermit{gate: g}, nil
}

func (g *countingGate) TryEnter(m pool.Member) (pool.Permit, bool) {
	t, _ := g.Enter(context.Background(), m)
	return t, true
}

func (t *countedPermit) Leave() {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left++
	if t.left {
		g.twice++
	}
	t.left = true
}

func (t *countedPermit) Recalled(pool.Worth) bool { return rand.N(10) == 0 }
func (t *countedPermit) Lost() <-chan struct{}    { return nil }

// used returns how many permits are in use.
func (g *countingGate) used() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.given - g.left
}

func TestRule11_EachConnectionHoldsOnePermitUntilItsCloseHasReturned(t *testing.T) {
	sometimes := func(f *drivertest.Fake, op drivertest.Op, n int, steps ...drivertest.Step) {
		f.Always(op, func(ctx context.Context, c *conn) error {
			if rand.N(n) == 0 {
				return steps[rand.N(len(steps))](ctx, c)
			}
			return nil
		})
	}
	for name, script := range map[string]func(f *drivertest.Fake){
		"a good server": func(*drivertest.Fake) {},
		"connects that fail": func(f *drivertest.Fake) {
			sometimes(f, drivertest.Connect, 3, drivertest.Fail(errScripted), drivertest.Delay(20*time.Millisecond), drivertest.Hang)
		},
		"connects that hang beyond their timeout": func(f *drivertest.Fake) { sometimes(f, drivertest.Connect, 5, stall(time.Second)) },
		"closes that take long":                   func(f *drivertest.Fake) { sometimes(f, drivertest.Close, 3, stall(20*time.Second)) },
		"pings that fail":                         func(f *drivertest.Fake) { sometimes(f, drivertest.Ping, 2, drivertest.Fail(errScripted)) },
	} {
		bubble(t, name, func(t *testing.T) {
			f, gate := drivertest.NewFake(t), &countingGate{}
			script(f)
			check := func() {
				n := f.Counts()
				assert.Equal(t, n.Open+n.Connecting, gate.used())
			}
			p := open[*conn](t, f, pool.Config{
				MaxOpen: 5, MinIdle: 1, Gate: gate, ConnectTimeout: 100 * time.Millisecond, AcquireTimeout: time.Second,
				KeepAlive: 50 * time.Millisecond, MaxLifetime: 200 * time.Millisecond, MaxUses: 20,
			})
			for range 20 {
				load(p, 10, 10, func(_ context.Context, c *conn) error {
					<-time.After(rand.N(5 * time.Millisecond))
					if rand.N(10) == 0 {
						return driver.ErrBadConn
					}
					return c.Use()
				})
				switch rand.N(4) {
				case 0:
					p.Reset()
				case 1:
					p.Resize(rand.N(6))
					p.Resize(5)
				case 2:
					if l, ok := try(p); ok {
						c, closed := l.Hijack()
						c.Close()
						closed()
					}
				}
				advance(0)
				check()
			}
			p.Close() // returns an error if the Close of a connection takes long
			advance(time.Minute)
			check()
			assert.Zero(t, gate.used())
			assert.Zero(t, gate.twice)
		})
	}
}
