package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/keyed"
)

func TestTheKeysOfManyProcessesShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		var leases []pool.Lease[*conn]
		var gates []*fleet.Gate
		for range 2 {
			g, err := fleet.New(w.store, fleet.Config{Budget: "depot", Limit: w.limit, Strict: true})
			require.NoError(t, err)
			gates = append(gates, g)
			p, err := keyed.Open[int, *conn](func(int) (driver.Connector, error) { return w.server, nil }, keyed.Config[int]{Gate: g})
			require.NoError(t, err)
			defer p.Close()
			for key := range 2 {
				l, err := p.Acquire(t.Context(), key)
				require.NoError(t, err)
				leases = append(leases, l)
			}
		}
		assert.Equal(t, 4, w.server.Counts().Open)
		for _, g := range gates {
			require.NoError(t, g.Close())
		}
		<-time.After(time.Second)
		assert.Zero(t, w.server.Counts().Open, "a strict gate also closes the connections of keys")
		for _, l := range leases {
			l.Release()
		}
	})
}

func TestASnapshotSaysWhoHasTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		a := w.start(fleet.Config{Owner: "a"})
		defer w.acquire(a, 3)()
		<-time.After(ttl) // until its row has them
		b := w.start(fleet.Config{Owner: "b", Strict: true})
		keys, err := keyed.Open[int, *conn](func(int) (driver.Connector, error) { return w.server, nil }, keyed.Config[int]{Gate: b.gate})
		require.NoError(t, err)
		defer keys.Close()
		l, err := keys.Acquire(t.Context(), 1)
		require.NoError(t, err)
		defer l.Release()
		of := func(p *process, granted, want int) pool.BudgetOwner {
			return pool.BudgetOwner{Owner: p.gate.Stats().Owner, Granted: granted, Held: granted, Want: want, Share: want, Left: ttl + grace}
		}
		key, err := keys.Pool(1)
		require.NoError(t, err)
		for _, s := range []pool.Snapshot{b.Snapshot(), keys.Snapshot(), key.Snapshot()} {
			if assert.NotNil(t, s.Budget) {
				s.Budget.Owners[0].Left, s.Budget.Owners[1].Left = ttl+grace, ttl+grace
				assert.Equal(t, pool.BudgetStats{
					Budget: "depot", Owner: b.gate.Stats().Owner, State: fleet.Held, Strict: true,
					Limit: 4, Granted: 1, Target: 1, Used: 1, Left: ttl, Renewals: 1,
					Owners: []pool.BudgetOwner{of(a, 3, 3), {Owner: b.gate.Stats().Owner, Granted: 1, Want: 1, Share: 1, Left: ttl + grace}},
				}, *s.Budget)
			}
		}
		local, err := pool.New[*conn](w.server, pool.Config{Gate: pool.NewGate(1)})
		require.NoError(t, err)
		defer local.Close()
		assert.Nil(t, local.Snapshot().Budget, "a gate without a budget")
	})
}
