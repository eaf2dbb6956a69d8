package pool_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// faults are the ways in which a call to the driver or a hook can go wrong.
var faults = map[string]drivertest.Step{
	"fails":             drivertest.Fail(errScripted),
	"finds it dead":     drivertest.Fail(driver.ErrBadConn),
	"fails permanently": drivertest.Fail(driver.Permanent(errScripted)),
	"panics":            drivertest.Panic("scripted panic"),
	"panics with error": drivertest.Panic(io.EOF),
	"exits":             drivertest.Goexit,
	"hangs":             hang,
	"is slow":           drivertest.Delay(1500 * time.Millisecond),
	"ignores all":       stall(7 * time.Second),
}

// hang is Hang for at most 20 seconds, because some calls have no context.
func hang(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return drivertest.Hang(ctx, c)
}

// workout makes a pool call all methods of its driver and all hooks.
func workout(p *pool.Pool[*conn]) {
	for range 3 {
		var uses atomic.Int64
		load(p, 5, 3, func(_ context.Context, c *conn) error {
			if uses.Add(1)%5 == 0 {
				return driver.ErrBadConn
			}
			return c.Use()
		})
		advance(2 * time.Second) // after that, idle connections need a check
	}
}

// wantConserved lets a pool of 3 recover, and fails t if a slot is lost.
func wantConserved(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
	t.Helper()
	for op := drivertest.Connect; op <= drivertest.Close; op++ {
		f.Always(op, nil)
	}
	advance(2 * time.Minute)
	wantAllSlots(t, f, p, 3)
}

func TestRule3_NoSlotIsLostByTheDriver(t *testing.T) {
	for op := drivertest.Connect; op <= drivertest.Close; op++ {
		for name, fault := range faults {
			bubble(t, op.String()+" "+name, func(t *testing.T) {
				f, p := openFake(t, pool.Config{MaxOpen: 3, ConnectTimeout: time.Second, KeepAlive: time.Second})
				if op != drivertest.Connect {
					fill(t, p, 3)
				}
				var hits atomic.Int64
				f.Always(op, func(ctx context.Context, c *conn) error {
					hits.Add(1)
					return fault(ctx, c)
				})
				workout(p)
				assert.NotZero(t, hits.Load())
				wantConserved(t, f, p)
			})
		}
	}
}

func TestRule3_NoSlotIsLostByAHook(t *testing.T) {
	for hook, set := range map[string]func(cfg *pool.Config, call func(context.Context, driver.Conn) error){
		"OnConnect": func(cfg *pool.Config, call func(context.Context, driver.Conn) error) { cfg.OnConnect = call },
		"OnAcquire": func(cfg *pool.Config, call func(context.Context, driver.Conn) error) {
			cfg.OnAcquire = func(ctx context.Context, c driver.Conn, _ pool.Info) error { return call(ctx, c) }
		},
		"OnRelease": func(cfg *pool.Config, call func(context.Context, driver.Conn) error) {
			cfg.OnRelease = func(c driver.Conn) error { return call(context.Background(), c) }
		},
		"OnClose": func(cfg *pool.Config, call func(context.Context, driver.Conn) error) {
			cfg.OnClose = func(c driver.Conn, _ error) { call(context.Background(), c) }
		},
		"BadConn": func(cfg *pool.Config, call func(context.Context, driver.Conn) error) {
			cfg.BadConn = func(error) bool { return call(context.Background(), &conn{}) != nil }
		},
	} {
		for name, fault := range faults {
			bubble(t, hook+" "+name, func(t *testing.T) {
				var hits atomic.Int64
				var well atomic.Bool
				cfg := pool.Config{MaxOpen: 3, ConnectTimeout: time.Second}
				set(&cfg, func(ctx context.Context, c driver.Conn) error {
					if well.Load() {
						return nil
					}
					hits.Add(1)
					return fault(ctx, c.(*conn))
				})
				f, p := openFake(t, cfg)
				workout(p)
				assert.NotZero(t, hits.Load())
				well.Store(true)
				wantConserved(t, f, p)
			})
		}
	}
}

func TestRule3_NoSlotIsLostByTheCaller(t *testing.T) {
	type harm = func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn])
	// leaves makes 10 callers wait until timeout, while held connections are in use.
	leaves := func(held int, timeout time.Duration, want error) harm {
		return func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			leases := acquireN(t, p, held)
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			callers := startN(ctx, p, 10)
			advance(30 * time.Second)
			callers.wantError(t, want)
			releaseAll(leases)
		}
	}
	ends := func(end func(pool.Lease[*conn])) harm {
		return func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			for range 4 {
				for _, l := range acquireN(t, p, 3) {
					end(l)
				}
			}
		}
	}
	does := func(fn func(), panics any) harm {
		return func(t *testing.T, _ *drivertest.Fake, p *pool.Pool[*conn]) {
			for range 4 {
				assert.Equal(t, panics, apart(func() {
					p.Do(t.Context(), func(context.Context, *conn) error { fn(); return nil })
				}))
			}
		}
	}
	for name, harm := range map[string]harm{
		"leaves before the connect ends": leaves(0, time.Second/2, context.DeadlineExceeded),
		"leaves while all are in use":    leaves(3, time.Second, context.DeadlineExceeded),
		"waits too long":                 leaves(3, time.Hour, pool.ErrTimeout),
		"comes with a dead context":      leaves(0, 0, context.DeadlineExceeded),
		"panics":                         does(func() { panic("user") }, "user"),
		"exits":                          does(runtime.Goexit, nil),
		"discards all":                   ends(func(l pool.Lease[*conn]) { l.Discard(io.EOF) }),
		"hijacks all":                    ends(func(l pool.Lease[*conn]) { hijack(l).Close() }),
		"resets": func(t *testing.T, f *drivertest.Fake, p *pool.Pool[*conn]) {
			f.Next(drivertest.Connect, 3, drivertest.Delay(time.Second))
			callers := startN(t.Context(), p, 3)
			p.Reset() // retires the connections before they are open
			advance(time.Second)
			callers.wantServed(t)
			leases := acquireN(t, p, 2)
			p.Reset()
			p.Reset()
			releaseAll(leases)
			p.Reset()
		},
	} {
		bubble(t, name, func(t *testing.T) {
			f, p := openFake(t, pool.Config{MaxOpen: 3})
			harm(t, f, p)
			wantConserved(t, f, p)
		})
	}
}

// storm is a driver in trouble: each call does something random.
type storm struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (s *storm) intN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

func (s *storm) step(ctx context.Context, c *conn) error {
	switch s.intN(20) {
	case 0:
		return errScripted
	case 1:
		return driver.ErrBadConn
	case 2:
		panic("scripted panic")
	case 3:
		return drivertest.Goexit(ctx, c)
	case 4, 5, 6:
		return drivertest.Delay(time.Duration(s.intN(30))*time.Millisecond)(ctx, c)
	case 7:
		return hang(ctx, c)
	case 8:
		c.Kill()
	}
	return nil
}

// act is one random action of a caller.
func (s *storm) act(p *pool.Pool[*conn]) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+s.intN(40))*time.Millisecond)
	defer cancel()
	switch s.intN(12) {
	case 0:
		p.Do(ctx, func(context.Context, *conn) error { panic("user") })
	case 1:
		p.Do(ctx, func(context.Context, *conn) error { runtime.Goexit(); return nil })
	case 2:
		p.Ping(ctx)
	case 3:
		if l, ok := try(p); ok {
			l.Release()
		}
	case 4:
		if l, err := p.Acquire(ctx); err == nil {
			defer l.Release() // does nothing
			hijack(l).Close()
		}
	case 5:
		if l, err := p.Acquire(ctx); err == nil {
			defer l.Release() // does nothing
			l.Discard(io.EOF)
		}
	default:
		p.Do(ctx, func(_ context.Context, c *conn) error { return c.Use() })
	}
}

func TestRule3_NoSlotIsLostAtRandomPoints(t *testing.T) {
	for seed := range uint64(10) {
		bubble(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := &storm{rng: rand.New(rand.NewPCG(seed, 3))}
			cfg := pool.Config{
				MaxOpen: 3, MinIdle: s.intN(4), MaxUses: s.intN(4), KeepAlive: 5 * time.Millisecond,
				ConnectTimeout: 20 * time.Millisecond, PingTimeout: 10 * time.Millisecond, AcquireTimeout: 30 * time.Millisecond,
				ValidateAfter: time.Duration(s.intN(3)) * 8 * time.Millisecond, MaxLifetime: 50 * time.Millisecond,
				Backoff: pool.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond},
			}
			f, p := openFake(t, cfg)
			for op := drivertest.Connect; op <= drivertest.Close; op++ {
				f.Always(op, s.step)
			}
			f.Always(drivertest.Close, func(ctx context.Context, c *conn) error {
				if s.intN(20) == 0 {
					return stall(20*time.Millisecond)(ctx, c)
				}
				return s.step(ctx, c)
			})
			var callers sync.WaitGroup
			for range 15 {
				callers.Go(func() {
					for range 30 {
						apart(func() { s.act(p) })
					}
				})
			}
			for range 60 {
				advance(time.Duration(s.intN(10)) * time.Millisecond)
				switch s.intN(4) {
				case 0:
					p.Reset()
				case 1:
					require.NoError(t, p.Resize(s.intN(4)))
				}
			}
			require.NoError(t, p.Resize(3))
			callers.Wait()
			for op := drivertest.Connect; op <= drivertest.Close; op++ {
				f.Always(op, nil)
			}
			advance(time.Second)
			wantServes(t, p, 3)
		})
	}
}
