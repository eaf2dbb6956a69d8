//go:build linux

package postgres_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/examples/postgres"
	"github.com/hotline-go/hotline/pool"
)

// Every canceled query costs its connection, and so does every third use. The server
// counts a connection until it has read its end, a moment after the Close of pgx returns.
func TestAPoolAsLargeAsTheServersLimitIsNeverRefused(t *testing.T) {
	t.Run("pgx", func(t *testing.T) {
		cancelHalfWay(t, openPGX, func(c *pgx.Conn) *pgx.Conn { return c })
	})
	t.Run("sql", func(t *testing.T) { cancelHalfWay(t, postgres.SQL, (*stdlib.Conn).Conn) })
}

// cancelHalfWay runs 40 workers, which cancel every second query while the server works
// on it. client returns the pgx connection in a connection of the pool.
func cancelHalfWay[C any](t *testing.T, open func(dsn string) (driver.Connector, error), client func(c C) *pgx.Conn) {
	s := start(t, maxOpen)
	connector, err := open(dsn(s.Addr))
	require.NoError(t, err)
	p, err := pool.New[C](connector, pool.Config{MaxOpen: maxOpen, MaxUses: 3})
	require.NoError(t, err)

	var answered, cancelled atomic.Int64
	ctx, end := context.WithTimeout(t.Context(), 3*time.Second)
	defer end()
	var workers sync.WaitGroup
	for worker := range 40 {
		workers.Go(func() { // ends with ctx
			for n := 0; ctx.Err() == nil; n++ {
				err := p.Do(ctx, func(ctx context.Context, c C) error {
					if n%2 == 0 {
						return exchange(ctx, client(c), worker*1e6+n)
					}
					within, cancel := context.WithTimeout(ctx, rand.N(20*time.Millisecond))
					defer cancel()
					_, err := client(c).Exec(within, "select pg_sleep(0.1)")
					return err
				})
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					cancelled.Add(1)
				default:
					t.Errorf("worker %d, request %d: %v", worker, n, err)
					return
				}
			}
		})
	}
	workers.Wait()
	assert.NoError(t, p.Close())
	stats := p.Stats()
	t.Logf("%d queries answered, %d cancelled; %d connects, at most %d sessions at a time; refused by the server: %d",
		answered.Load(), cancelled.Load(), stats.Connects, sessions(s), logged(s, tooMany))
	assert.Positive(t, answered.Load())
	assert.Zero(t, logged(s, tooMany))
}
