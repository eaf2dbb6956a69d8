package retry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// geventconnpool promises this in its README, but blocks forever.
func TestConnectFailuresAreWaitedOut(t *testing.T) {
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

func TestNotRetried(t *testing.T) {
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

func TestFullServerIsTriedAgainAfterThePauseItAskedFor(t *testing.T) {
	withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
		full := driver.Full(driver.Permanent(errors.New("too many connections")), 20*time.Second)
		fake.Next(drivertest.Connect, 1, drivertest.Fail(full))
		start := time.Now()
		require.NoError(t, retry.Policy{}.Do(t.Context(), use(p)))
		assert.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		assert.Equal(t, 2, fake.Counts().Connects)
	})
}

// When the context of an attempt has ended, Pool.Do adds its error. That changes
// nothing for the run.
func TestErrorOfAnAttemptThatTimedOutInDoKeepsItsClass(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	for _, tc := range []struct {
		name     string
		err      error
		attempts int
	}{
		{"a failed dial", dial, 3},
		{"nothing was sent", driver.ErrBadConn, 3},
		{"unknown", errBusy, 1},
		{"permanent", driver.Permanent(driver.ErrBadConn), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withPool(t, pool.Config{}, func(t *testing.T, _ *drivertest.Fake, p *fakePool) {
				attempts := 0
				err := retry.Policy{MaxAttempts: 3, PerAttempt: time.Second, Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
					attempts++
					return p.Do(ctx, func(ctx context.Context, _ *drivertest.FakeConn) error {
						<-ctx.Done()
						return tc.err
					})
				})
				assert.Equal(t, tc.attempts, attempts)
				assert.ErrorIs(t, err, tc.err)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		})
	}
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

// A function that has sent its request may fail with the error of something else
// that has sent nothing. That does not make the request safe to repeat.
func TestARequestThatWasSentIsNotMadeAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail func(ctx context.Context, other *fakePool) error // after the request
	}{
		{"the pool of a second connection is in use", func(ctx context.Context, other *fakePool) error {
			_, err := other.TryAcquire()
			return err
		}},
		{"a second dial fails", func(ctx context.Context, _ *fakePool) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
		}},
		{"the driver calls the connection bad", func(context.Context, *fakePool) error {
			return fmt.Errorf("mail: %w", driver.ErrBadConn)
		}},
	} {
		for _, sends := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, sent=%v", tc.name, sends), func(t *testing.T) {
				withPool(t, pool.Config{}, func(t *testing.T, fake *drivertest.Fake, p *fakePool) {
					other, err := pool.New[*drivertest.FakeConn](drivertest.NewFake(t), pool.Config{MaxOpen: 1})
					require.NoError(t, err)
					defer other.Close()
					l, err := other.Acquire(t.Context())
					require.NoError(t, err)
					defer l.Release() // only now: TryAcquire must find no connection
					attempts := 0
					err = retry.Policy{MaxAttempts: 3, Interval: -1}.Do(t.Context(), func(ctx context.Context) error {
						return p.Do(ctx, func(ctx context.Context, c *drivertest.FakeConn) error {
							attempts++
							if sends {
								require.NoError(t, c.Use())
							}
							return tc.fail(ctx, other)
						})
					})
					require.Error(t, err)
					assert.Equal(t, !sends, driver.SafeToRetry(err) || attempts == 3)
					assert.Equal(t, sends, attempts == 1)
				})
			})
		}
	}
}
