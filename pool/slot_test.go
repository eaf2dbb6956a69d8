package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// allowed repeats the diagram in docs/design.md.
var allowed = map[phase][]phase{
	free:       {connecting},
	connecting: {held, closing, free},
	held:       {idle, leased, closing, free},
	idle:       {leased, held},
	leased:     {idle, held, closing},
	closing:    {free},
}

// One slot fills two cache lines, so that neighbors in memory share none.
func TestSlotFillsTwoCacheLines(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		assert.Equal(t, 128, int(unsafe.Sizeof(slot[driver.Conn]{})))
	}
}

func TestSlotMovesAlongTheDiagramOnly(t *testing.T) {
	for from := range phase(phases) {
		for to := range phase(phases) {
			t.Run(from.String()+" to "+to.String(), func(t *testing.T) {
				ok := from == to // only flags change
				for _, ph := range allowed[from] {
					ok = ok || ph == to
				}
				var s slot[int]
				w := word(from) | retire | pings | 7*oneGen
				s.state.Store(uint64(w))
				if !ok {
					assert.PanicsWithValue(t, "pool: bug: a slot can't move from "+from.String()+" to "+to.String(), func() { s.move(w, w.to(to)) })
					assert.Equal(t, w, s.load())
					return
				}
				assert.False(t, s.move(w+oneGen, w.to(to)), "a word of another generation")
				assert.Equal(t, w, s.load())
				assert.True(t, s.move(w, w.to(to)))
				assert.Equal(t, w.to(to), s.load())
			})
		}
	}
}

func TestSlotWordKeepsItsPartsApart(t *testing.T) {
	w := word(idle) | stale | retire | pings | 5*oneGen
	assert.Equal(t, idle, w.phase())
	assert.Equal(t, uint64(5), w.gen())
	assert.True(t, w.has(pings))
	assert.False(t, w.has(resets))

	to := w.to(leased)
	assert.Equal(t, leased, to.phase())
	assert.Equal(t, uint64(5), to.gen())
	assert.False(t, to.has(stale), "only for idle connections")
	assert.True(t, to.has(retire), "stays after a lease")
	assert.Equal(t, uint64(6), w.next(leased).gen())

	assert.True(t, (word(idle) | pings | oneGen).is(idle))
	assert.False(t, (word(idle) | stale).is(idle))
	assert.False(t, (word(idle) | retire).is(idle))
	assert.False(t, word(leased).is(idle))
}

func TestSlotIsClaimedOnlyIdleAndUnmarked(t *testing.T) {
	for ph := range phase(phases) {
		for _, flags := range []word{0, stale, retire} {
			var s slot[int]
			from := word(ph) | flags | oneGen
			s.state.Store(uint64(from))
			w, ok := s.claim()
			if ph == idle && flags == 0 {
				assert.True(t, ok)
				assert.Equal(t, word(leased)|2*oneGen, w)
				assert.Equal(t, w, s.load())
			} else {
				assert.False(t, ok, "%v with flags %b", ph, flags)
				assert.Equal(t, from, s.load())
			}
		}
	}
}

func TestSlotIsGrabbedByItsLeaseOnly(t *testing.T) {
	lease := word(leased) | 4*oneGen
	for name, tt := range map[string]struct {
		now word
		ok  bool
	}{
		"same":             {lease, true},
		"marked meanwhile": {lease | loose, true},
		"next lease":       {lease + oneGen, false},
		"ended":            {lease.to(idle), false},
		"checked":          {lease.to(held), false},
		"closing":          {lease.to(closing), false},
	} {
		var s slot[int]
		s.state.Store(uint64(tt.now))
		w, ok := s.grab(lease)
		assert.Equal(t, tt.ok, ok, name)
		want := tt.now
		if ok {
			want = tt.now.to(held)
			assert.Equal(t, want, w, name)
		}
		assert.Equal(t, want, s.load(), name)
	}
}

func TestSlotIsFlaggedInItsPhaseAndGenerationOnly(t *testing.T) {
	seen := word(idle) | 4*oneGen
	for name, tt := range map[string]struct {
		now word
		ok  bool
	}{
		"same":           {seen, true},
		"flagged before": {seen | retire, true},
		"leased":         {seen.next(leased), false},
		"used meanwhile": {seen + oneGen, false},
		"being checked":  {seen.to(held), false},
	} {
		var s slot[int]
		s.state.Store(uint64(tt.now))
		assert.Equal(t, tt.ok, s.flag(seen, stale), name)
		want := tt.now
		if tt.ok {
			want |= stale
		}
		assert.Equal(t, want, s.load(), name)
	}
}

// Slots live as long as the pool, so each way to end a connection must free its slot
// for the next connection.
func TestSlotsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openBare(t, Config{MaxOpen: 3, Backoff: Backoff{Initial: 1, Max: 1}})
		for _, end := range []func(Lease[*drivertest.BareConn]){
			func(l Lease[*drivertest.BareConn]) { l.Release() },
			func(l Lease[*drivertest.BareConn]) { l.Discard(nil) },
			func(l Lease[*drivertest.BareConn]) {
				c, closed := l.Hijack()
				c.Close()
				closed()
			},
			func(l Lease[*drivertest.BareConn]) { p.Reset(); l.Release() },
		} {
			for range 10 {
				l, err := p.Acquire(t.Context())
				require.NoError(t, err)
				end(l)
				synctest.Wait()
			}
		}
		f.Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
		for range 10 {
			_, err := p.Acquire(t.Context())
			require.Error(t, err)
		}
		assert.Len(t, *p.slots.Load(), 1)
	})
}

// A Release on the fast path does not check for waiters. So a caller must unlist every
// slot in use before it sleeps in the queue, and Close must do so too.
func TestNoReleaseIsFastOnceSomethingDependsOnIt(t *testing.T) {
	for name, count := range map[string]func(t *testing.T, p *Pool[*drivertest.BareConn]){
		"a waiter": func(t *testing.T, p *Pool[*drivertest.BareConn]) {
			go func() {
				l, err := p.Acquire(context.Background())
				assert.NoError(t, err)
				l.Release()
			}()
			synctest.Wait()
		},
		"Close": func(t *testing.T, p *Pool[*drivertest.BareConn]) { require.NoError(t, p.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, p := openBare(t, Config{MaxOpen: 1})
				l, err := p.Acquire(context.Background())
				require.NoError(t, err)
				l.Release()
				l, err = p.Acquire(context.Background()) // on the fast path
				require.NoError(t, err)
				require.True(t, l.word.has(listed))
				count(t, p)
				assert.False(t, l.slot.move(l.word, l.word.to(idle)), "the fast path of Release")
				l.Release()
				synctest.Wait()
				assert.Zero(t, p.Stats().Leased)
			})
		})
	}
}

// openBare returns a pool of bare connections, which is closed when t ends.
func openBare(t testing.TB, cfg Config) (*drivertest.Fake, *Pool[*drivertest.BareConn]) {
	f := drivertest.NewFake(t)
	f.Wrap = drivertest.Bare
	p, err := New[*drivertest.BareConn](f, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return f, p
}

// While new connections turn out to be useless, each Release takes the slow path. After
// that, it takes the fast path again.
func TestReleaseIsFastAgainAfterUselessConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := openBare(t, Config{MaxOpen: 1, Backoff: Backoff{Initial: 1, Max: 1}})
		for range 2 {
			l, err := p.Acquire(t.Context())
			require.NoError(t, err)
			l.Discard(driver.ErrBadConn)
			synctest.Wait()
		}
		assert.False(t, p.simple.Load())
		f.Next(drivertest.Connect, 1, drivertest.Fail(errors.New("refused")))
		_, err := p.Acquire(t.Context())
		require.Error(t, err)
		assert.True(t, p.simple.Load())
	})
}
