package keyed_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

// The tests in this file are about failures in docs/field-failures.md.

func TestCapacityThatOneKeyGivesUpServesAnother(t *testing.T) {
	for name, giveUp := range map[string]func(s *servers, p *keyed.Pool[string, *conn], l pool.Lease[*conn]){
		"release": func(_ *servers, _ *keyed.Pool[string, *conn], l pool.Lease[*conn]) { l.Release() },
		"discard": func(_ *servers, _ *keyed.Pool[string, *conn], l pool.Lease[*conn]) { l.Discard(nil) },
		"hijack": func(_ *servers, _ *keyed.Pool[string, *conn], l pool.Lease[*conn]) {
			c, closed := l.Hijack()
			c.Close()
			closed()
		},
		"forget": func(_ *servers, p *keyed.Pool[string, *conn], l pool.Lease[*conn]) {
			p.Forget("ada")
			l.Release()
		},
		"reset": func(_ *servers, p *keyed.Pool[string, *conn], l pool.Lease[*conn]) {
			p.Reset()
			l.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := open(t, keyed.Config[string]{MaxOpen: 1})
				l := acquire(t, p, "ada")
				done := make(chan error)
				go func() { done <- p.Do(t.Context(), "eve", func(context.Context, *conn) error { return nil }) }()
				synctest.Wait()
				giveUp(s, p, l)
				began := time.Now()
				assert.NoError(t, <-done)
				assert.Zero(t, time.Since(began))
			})
		})
	}
}

func TestConnectsThatFailOrHangLeaveNoPermitBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := pool.NewGate(2)
		s, p := open(t, keyed.Config[string]{Gate: gate, PerKey: func(string) pool.Config {
			return pool.Config{ConnectTimeout: time.Second, AcquireTimeout: 3 * time.Second}
		}})
		s.fake("fails").Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
		s.fake("hangs").Always(drivertest.Connect, drivertest.Hang)
		for _, key := range []string{"fails", "hangs"} {
			_, err := p.Acquire(t.Context(), key)
			assert.Error(t, err)
		}
		advance(3 * time.Second)
		assert.Zero(t, held(gate))
		ada, eve := acquire(t, p, "ada"), acquire(t, p, "eve")
		assert.Equal(t, 2, held(gate))
		ada.Release()
		eve.Release()
	})
}

func TestKeysWithMinIdleDoNotTakeConnectionsFromEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, keyed.Config[string]{MaxOpen: 3, IdleAfter: -1, PerKey: func(string) pool.Config {
			return pool.Config{MinIdle: 2, MaxLifetime: -1}
		}})
		keys := []string{"ada", "bob", "eve"}
		for _, key := range keys {
			_, err := p.Pool(key)
			require.NoError(t, err)
		}
		connects := func() (n int) {
			for _, key := range keys {
				n += s.fake(key).Counts().Connects
			}
			return n
		}
		advance(time.Second)
		assert.Equal(t, 3, connects())
		advance(time.Hour)
		assert.Equal(t, 3, connects(), "each lacks connections, and none takes one")
	})
}
