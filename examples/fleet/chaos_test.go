//go:build linux

package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/examples/internal/realserver"
)

const (
	limit   = 15
	workers = 8
	ttl     = 1500 * time.Millisecond
	grace   = time.Second
	idle    = 700 * time.Millisecond // of the server; less than grace
	late    = 100 * time.Millisecond // until the server notices the end of a connection
)

// budget returns the DSN of a worker's budget.
func (e engine) budget(addr string) string {
	return e.dsn(addr) + fmt.Sprintf("?limit=%d&ttl=%v&grace=%v&strict=true", limit, ttl, grace)
}

// chaosTime is how long the chaos lasts. HOTLINE_FLEET_CHAOS sets it.
func chaosTime(t *testing.T) time.Duration {
	text := os.Getenv("HOTLINE_FLEET_CHAOS")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// Eight processes want 80 connections, and may have 15. They are killed, stopped, and cut
// off from the store. The store is killed, flushed and slowed down.
func TestProcessesKeepTheLimitInChaos(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			server := startCounter(t, idle, late)
			c := newChaos(t, e, server.dsn(), server.opened)
			c.calm("at first", &server.answers)
			c.rage(chaosTime(t))
			c.calm("afterwards", &server.answers)
			c.measure(server)
			assert.LessOrEqual(t, server.peak.Load(), int64(limit), "connections at the server")
			t.Logf("%s: %d connections at the server at most", e.name, server.peak.Load())
		})
	}
}

// The server is PostgreSQL, which refuses the 16th connection.
func TestPostgreSQLTurnsNobodyAwayInChaos(t *testing.T) {
	s := engines[1].start(t)
	execute(t, s.Addr, fmt.Sprintf("CREATE ROLE worker LOGIN CONNECTION LIMIT %d; ALTER ROLE worker SET idle_session_timeout = %d", limit, idle.Milliseconds()))
	db := open(t, s.Addr)
	c := newChaos(t, engines[0], "postgres://worker@"+s.Addr+"/postgres", func() (n int) {
		require.NoError(t, db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE usename = 'worker'").Scan(&n))
		return n
	})
	c.until("the limit is used up", 10*ttl, c.full)
	c.rage(chaosTime(t))
	c.until("the limit is used up again", 10*ttl, c.full)
	assert.Zero(t, strings.Count(s.Log(), "too many connections"), "SQLSTATE 53300")
}

// chaos is a run.
type chaos struct {
	*testing.T
	engine  engine
	store   *realserver.Server
	opened  func() int // connections at the server
	workers []*worker
}

// newChaos starts the store and the workers. server is the DSN of their server.
func newChaos(t *testing.T, e engine, server string, opened func() int) *chaos {
	c := &chaos{T: t, engine: e, store: e.start(t), opened: opened}
	for i := range workers {
		c.workers = append(c.workers, newWorker(t, fmt.Sprint("w", i), c.store.Addr, server, e.budget))
	}
	return c
}

// until waits until ok, and returns how long that took.
func (c *chaos) until(what string, most time.Duration, ok func() bool) time.Duration {
	c.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > most {
			c.Errorf("not within %v: %s; the server has %d connections", most, what, c.opened())
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// full reports whether at most one connection is left of the limit.
func (c *chaos) full() bool { return c.opened() >= limit-1 }

// calm waits until the limit is used up, and logs the throughput.
func (c *chaos) calm(when string, answers *atomic.Int64) {
	took := c.until("the limit is used up", 10*ttl, c.full)
	before, began := answers.Load(), time.Now()
	time.Sleep(ttl)
	c.Logf("%s: %d connections after %v; %.0f requests/s", when, c.opened(), took.Round(time.Millisecond),
		float64(answers.Load()-before)/time.Since(began).Seconds())
}

// rage makes trouble for a while, often several kinds at a time, and then ends it.
func (c *chaos) rage(length time.Duration) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(17, seed))
	c.Logf("seed %d", seed)
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	var trouble sync.WaitGroup
	var busy [workers + 1]chan struct{} // the last is the store's
	for i := range busy {
		busy[i] = make(chan struct{}, 1)
	}
	happened := map[string]int{}
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(between(0, ttl)) {
		i := random.IntN(len(busy))
		pause := between(ttl/2, 4*ttl)
		name, act := c.storeTrouble(random.IntN(2), pause)
		if i < workers {
			name, act = c.workers[i].trouble(random.IntN(6), pause)
		}
		select {
		case busy[i] <- struct{}{}:
		default:
			continue // it is in trouble already
		}
		happened[name]++
		trouble.Go(func() {
			defer func() { <-busy[i] }()
			act()
		})
	}
	trouble.Wait()
	c.Logf("%v of trouble: %v", length, happened)
}

// storeTrouble returns what may happen to the store.
func (c *chaos) storeTrouble(kind int, pause time.Duration) (name string, act func()) {
	if kind == 0 {
		return "store restarted", func() {
			c.store.Kill()
			time.Sleep(pause)
			c.store.Start()
			time.Sleep(2 * ttl) // otherwise it would hardly ever be up
		}
	}
	return "store flushed", func() {
		c.engine.lose(c, c.store)
		time.Sleep(2 * (ttl + grace))
	}
}

// trouble returns what may happen to a worker.
func (w *worker) trouble(kind int, pause time.Duration) (name string, act func()) {
	spoiled := func(kind, attributes string) func() {
		return func() {
			defer w.spoil(kind, attributes)()
			time.Sleep(pause)
		}
	}
	switch kind {
	case 0:
		return "killed", func() { w.kill(); time.Sleep(pause / 4); w.start() }
	case 1:
		return "ended", func() { w.end(syscall.SIGTERM); time.Sleep(pause / 4); w.start() }
	case 2:
		return "stopped", func() { w.signal(syscall.SIGSTOP); time.Sleep(pause); w.signal(syscall.SIGCONT) }
	case 3:
		return "slow", spoiled("latency", `{"latency": 1000}`) // 2 s for a round trip
	case 4:
		return "refused", func() {
			w.link.Stop()
			time.Sleep(pause)
			require.NoError(w.t, w.link.Start())
		}
	}
	return "cut", spoiled("timeout", `{"timeout": 0}`)
}

// measure logs how long it takes to get a share, and to give one back.
func (c *chaos) measure(server *counter) {
	starved := newWorker(c.T, "starved", c.store.Addr, server.dsn(), c.engine.budget)
	took := c.until("a new worker has a connection", 4*ttl, func() bool { return server.of(starved.id()) > 0 })
	c.Logf("a starved worker has its share after %v", took.Round(time.Millisecond))
	for name, by := range map[string]syscall.Signal{"kill -9": syscall.SIGKILL, "Close": syscall.SIGTERM} {
		w := c.workers[0]
		c.workers = c.workers[1:]
		c.until("the limit is used up", 4*ttl, c.full)
		w.end(by)
		c.until("the server notices", 2*late+time.Second, func() bool { return server.of(w.id()) == 0 })
		took := c.until("others have the connections of a worker that ended by "+name, ttl+grace+2*ttl, c.full)
		c.Logf("others have the connections of a worker %v after %s", took.Round(time.Millisecond), name)
	}
}
