//go:build linux

package postgres_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/postgres"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// writers insert rows in the primary of several servers.
type writers struct {
	*pool.Pool[driver.Conn]
	client func(driver.Conn) *pgx.Conn

	next, done, unknown, refused atomic.Int64
	over                         atomic.Bool
	all                          sync.WaitGroup
}

func openWriters(t testing.TB, open func(dsn string) (driver.Connector, error), client func(driver.Conn) *pgx.Conn, servers ...*realserver.Server) *writers {
	set := endpoints.Set{
		Connector: func(addr string) (driver.Connector, error) { return open(dsn(addr)) },
		Want:      postgres.IsPrimary,
	}
	for _, s := range servers {
		set.Addrs = append(set.Addrs, s.Addr)
	}
	connector, err := endpoints.New(set)
	require.NoError(t, err)
	p, err := pool.New[driver.Conn](connector, pool.Config{MaxOpen: 8, Backoff: pool.Backoff{Max: 250 * time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	w := &writers{Pool: p, client: client}
	t.Cleanup(w.stop)
	return w
}

// insert inserts row n. It repeats attempts that are known to have done nothing.
func (w *writers) insert(ctx context.Context, n int64) error {
	again := retry.Policy{MaxAttempts: -1, MaxInterval: 100 * time.Millisecond, RetryIf: func(err error) bool {
		return retry.Safe(err) || postgres.IsReadOnly(err)
	}}
	return again.Do(ctx, func(ctx context.Context) error {
		return w.Do(ctx, func(ctx context.Context, c driver.Conn) error {
			_, err := w.client(c).Exec(ctx, "insert into done values ($1)", n)
			if postgres.IsReadOnly(err) {
				w.refused.Add(1)
				w.ResetIf(postgres.At(c))
			}
			return err
		})
	})
}

// start starts 8 callers that insert rows until stop.
func (w *writers) start(ctx context.Context) {
	for range 8 {
		w.all.Go(func() {
			for !w.over.Load() {
				if err := w.insert(ctx, w.next.Add(1)); err == nil {
					w.done.Add(1)
				} else {
					w.unknown.Add(1) // the server went away before it answered
				}
			}
		})
	}
}

func (w *writers) stop() {
	w.over.Store(true)
	w.all.Wait()
}

// awaitWrite waits until another write succeeds, and returns how long that took.
func (w *writers) awaitWrite(t testing.TB) time.Duration {
	began, before := time.Now(), w.done.Load()
	require.Eventually(t, func() bool { return w.done.Load() > before }, 15*time.Second, time.Millisecond)
	return time.Since(began)
}

// One server streams to the other. The primary dies and the replica is promoted. Then the
// new primary is turned read-only under its connections, and takes writes again.
func TestWritesFollowThePrimary(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			first := startAs(t, 20, initdb)
			admin(t, first, "create table done (n bigint)")
			second := startAs(t, 20, copyOf(first))
			admin(t, first, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()") // so that nothing written is lost
			w := openWriters(t, d.open, d.client, second, first)
			w.start(ctx)
			w.awaitWrite(t)
			require.Eventually(t, func() bool { return w.done.Load() > 100 }, 15*time.Second, time.Millisecond)
			assert.Equal(t, int64(0), w.unknown.Load()+w.refused.Load(), "the replica got no write")

			first.Kill()
			killed := time.Now()
			second.Run("pg_ctl", "postgresql", "promote", "-D", "data")
			promoted := time.Since(killed)
			served := w.awaitWrite(t)
			assert.LessOrEqual(t, w.unknown.Load(), int64(8), "the writes in progress when it died")

			admin(t, second, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
			require.Eventually(t, func() bool { return w.refused.Load() > 0 }, 5*time.Second, time.Millisecond)
			require.Eventually(t, func() bool { return w.Stats().Open == 0 }, 15*time.Second, time.Millisecond, "nobody has a connection to a server that refuses writes")
			refused := w.refused.Load()
			assert.LessOrEqual(t, refused, int64(8), "the callers who had a connection")
			admin(t, second, "set default_transaction_read_only = off", "alter system set default_transaction_read_only = off", "select pg_reload_conf()")
			back := w.awaitWrite(t)
			w.stop()
			assert.Equal(t, refused, w.refused.Load(), "no write was made on a server that refuses them")

			n := count(t, second)
			assert.GreaterOrEqual(t, n, w.done.Load(), "nothing written is lost")
			assert.LessOrEqual(t, n, w.done.Load()+w.unknown.Load(), "nothing is written twice")
			t.Logf("promoted after %v, first good write %v later; %d refused, first good write %v after the end of read-only; %d written, of %d unknown",
				promoted.Round(time.Millisecond), served.Round(time.Millisecond), refused, back.Round(time.Millisecond), w.done.Load(), w.unknown.Load())
		})
	}
}

// admin runs statements on s, one by one.
func admin(t testing.TB, s *realserver.Server, statements ...string) {
	c, err := pgx.Connect(t.Context(), dsn(s.Addr))
	require.NoError(t, err)
	defer c.Close(t.Context())
	for _, statement := range statements {
		_, err := c.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// count returns how many rows s has.
func count(t testing.TB, s *realserver.Server) (n int64) {
	c, err := pgx.Connect(t.Context(), dsn(s.Addr))
	require.NoError(t, err)
	defer c.Close(t.Context())
	require.NoError(t, c.QueryRow(t.Context(), "select count(*) from done").Scan(&n))
	return n
}
