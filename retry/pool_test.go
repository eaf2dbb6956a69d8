package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

type fakePool = pool.Pool[*drivertest.FakeConn]

// withPool runs test in a bubble, with a pool of connections to fake.
func withPool(t *testing.T, cfg pool.Config, test func(t *testing.T, fake *drivertest.Fake, p *fakePool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		p, err := pool.New[*drivertest.FakeConn](fake, cfg)
		require.NoError(t, err)
		defer p.Close()
		test(t, fake, p)
	})
}

// use makes an attempt of one request on a connection of p.
func use(p *fakePool) func(context.Context) error {
	return func(ctx context.Context) error {
		return p.Do(ctx, func(_ context.Context, c *drivertest.FakeConn) error { return c.Use() })
	}
}

func TestEachAttemptGetsAnotherConnection(t *testing.T) {
	withPool(t, pool.Config{}, func(t *testing.T, _ *drivertest.Fake, p *fakePool) {
		var ids []int
		err := retry.Policy{RetryIf: retry.Always}.Do(t.Context(), func(ctx context.Context) error {
			return p.Do(ctx, func(ctx context.Context, c *drivertest.FakeConn) error {
				ids = append(ids, c.ID)
				if retry.Attempt(ctx) < 4 {
					c.Kill()
				}
				return c.Use()
			})
		})
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3, 4}, ids)
	})
}

func TestPoolFullOfDeadConnectionsCostsNoAttempt(t *testing.T) {
	const corpses = 10
	withPool(t, pool.Config{MaxOpen: corpses}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		var leases []pool.Lease[*drivertest.FakeConn]
		for range corpses {
			l, err := p.Acquire(t.Context())
			require.NoError(t, err)
			leases = append(leases, l)
		}
		for _, l := range leases {
			l.Release()
		}
		fake.KillAll()

		attempts := 0
		err := retry.Policy{MaxAttempts: 1}.Do(t.Context(), func(ctx context.Context) error {
			attempts++
			return use(p)(ctx)
		})
		require.NoError(t, err)
		assert.Equal(t, 1, attempts)
		assert.Equal(t, corpses+1, fake.Counts().Connects)
	})
}

// geventconnpool promises this in its README and blocks for ever instead.
func TestConnectFailuresAreSatOut(t *testing.T) {
	withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		fake.Next(drivertest.Connect, 3, drivertest.Fail(errors.New("refused")))
		require.NoError(t, retry.Policy{}.Do(t.Context(), use(p)))
		assert.Equal(t, 4, fake.Counts().Connects)
	})
}

func TestFailedConnectIsTheCauseInTheEnd(t *testing.T) {
	withPool(t, pool.Config{Name: "mail"}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		refused := errors.New("refused")
		fake.Down(refused)
		err := retry.Policy{MaxAttempts: 3}.Do(t.Context(), use(p))

		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, retry.OutOfAttempts, e.Reason)
		assert.Equal(t, 3, e.Attempts)
		var acquire *pool.AcquireError
		require.ErrorAs(t, err, &acquire)
		assert.Equal(t, "mail", acquire.Pool)
		assert.ErrorIs(t, err, refused)
		assert.True(t, driver.SafeToRetry(err))
	})
}

func TestAttemptThatTimedOutInTheQueueIsRepeated(t *testing.T) {
	withPool(t, pool.Config{MaxOpen: 1}, func(t *testing.T, _ *drivertest.Fake, p *fakePool) {
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		time.AfterFunc(2500*time.Millisecond, l.Release)

		attempts := 0
		err = retry.Policy{PerAttempt: time.Second, Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
			attempts++
			return use(p)(ctx)
		})
		require.NoError(t, err)
		assert.Equal(t, 3, attempts)
	})
}

func TestNoRetryHelpsAgainst(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(fake *drivertest.Fake, p *fakePool)
	}{
		{"a wrong password", func(fake *drivertest.Fake, _ *fakePool) {
			fake.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errors.New("wrong password"))))
		}},
		{"a closed pool", func(_ *drivertest.Fake, p *fakePool) { p.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
				tc.spoil(fake, p)
				attempts := 0
				err := retry.Policy{RetryIf: retry.Always}.Do(t.Context(), func(ctx context.Context) error {
					attempts++
					return use(p)(ctx)
				})
				assert.Equal(t, 1, attempts)
				assert.IsType(t, (*pool.AcquireError)(nil), err, "nothing was repeated, so nothing is added")
			})
		})
	}
}

func TestPauseThatTheServerAskedForAtConnect(t *testing.T) {
	withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		fake.Next(drivertest.Connect, 1, drivertest.Fail(driver.Throttled(errors.New("slow down"), 20*time.Second)))
		start := time.Now()
		require.NoError(t, retry.Policy{}.Do(t.Context(), use(p)))
		assert.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		assert.Equal(t, 2, fake.Counts().Connects)
	})
}

func TestFullServerIsAskedAgainAfterThePauseItNamed(t *testing.T) {
	withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		full := driver.Full(driver.Permanent(errors.New("too many connections")), 20*time.Second)
		fake.Next(drivertest.Connect, 1, drivertest.Fail(full))
		start := time.Now()
		require.NoError(t, retry.Policy{}.Do(t.Context(), use(p)))
		assert.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		assert.Equal(t, 2, fake.Counts().Connects)
	})
}

func TestEndOfTheContextInTheQueueEndsTheRun(t *testing.T) {
	withPool(t, pool.Config{MaxOpen: 1}, func(t *testing.T, _ *drivertest.Fake, p *fakePool) {
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		defer l.Release()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = retry.Policy{MaxAttempts: -1}.Do(ctx, use(p))

		var e *retry.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, retry.ContextEnded, e.Reason)
		assert.Equal(t, time.Second, e.Elapsed)
		var acquire *pool.AcquireError
		assert.ErrorAs(t, err, &acquire)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
