package keyed

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// lateClose is how often a door checks whether connections from before Forget still
// count. A Close that takes too long stops counting without a signal.
const lateClose = time.Second

// door is the Gate of the pools of one key: the current pool and, after Forget, the
// earlier ones whose connections are not closed yet. Those connections count against
// the MaxOpen of the current pool.
type door struct {
	pool.Gate // of all keys

	mu      sync.Mutex    // guards the fields below; Stats of a pool are read under it
	holders []holder      // the pools that have permits
	changed chan struct{} // closed when a permit is given back; nil if nobody waits for that
	emptied func()        // called when the last permit is given back; nil before the key is forgotten
}

// holder is a pool and how many permits it has.
type holder struct {
	member member
	n      int
}

// member is a pool.Pool.
type member interface {
	pool.Member
	Stats() pool.Stats
}

// ticket is a permit of Gate, counted by a door.
type ticket struct {
	pool.Permit
	door   *door
	member member
}

// Enter implements pool.Gate.
func (d *door) Enter(ctx context.Context, m pool.Member) (pool.Permit, error) {
	for {
		ok, changed := d.reserve(m.(member))
		if ok {
			return d.pass(m.(member), func() (pool.Permit, error) { return d.Gate.Enter(ctx, m) })
		}
		select {
		case <-changed:
		case <-time.After(lateClose):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryEnter implements pool.Gate.
func (d *door) TryEnter(m pool.Member) (pool.Permit, bool) {
	if ok, _ := d.reserve(m.(member)); !ok {
		return nil, false
	}
	permit, _ := d.pass(m.(member), func() (permit pool.Permit, _ error) {
		permit, _ = d.Gate.TryEnter(m)
		return permit, nil
	})
	return permit, permit != nil
}

// Strict implements pool.StrictGate.
func (d *door) Strict() func() error {
	if g, ok := d.Gate.(pool.StrictGate); ok {
		return g.Strict()
	}
	return nil
}

// reserve counts one more permit of m if the other pools of the key leave room for it.
// Otherwise it returns a channel that is closed when a permit is given back.
func (d *door) reserve(m member) (ok bool, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	mine, others := d.countLocked(m)
	if others == 0 || mine+others < m.Stats().MaxOpen {
		d.addLocked(m, 1)
		return true, nil
	}
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return false, d.changed
}

// countLocked returns how many permits m has, and how many permits of the other pools
// still count.
func (d *door) countLocked(m member) (mine, others int) {
	for _, h := range d.holders {
		if h.member == m {
			mine = h.n
		} else {
			now := h.member.Stats()
			others += min(h.n, now.Open+now.Connecting+now.Gated+now.Closing)
		}
	}
	return mine, others
}

// pass calls enter for m, which has a reservation, and returns its permit. If enter gets
// no permit, pass gives the reservation back.
func (d *door) pass(m member, enter func() (pool.Permit, error)) (permit pool.Permit, err error) {
	defer func() { // also if the gate panics
		if permit == nil {
			d.leave(m)
		}
	}()
	inner, err := enter()
	if inner == nil || err != nil {
		return nil, err
	}
	return &ticket{inner, d, m}, nil
}

// Leave implements pool.Permit.
func (t *ticket) Leave() {
	defer t.door.leave(t.member)
	t.Permit.Leave()
}

// leave counts one permit fewer for m.
func (d *door) leave(m member) {
	d.mu.Lock()
	d.addLocked(m, -1)
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
	emptied := d.emptied
	empty := len(d.holders) == 0
	d.mu.Unlock()
	if empty && emptied != nil {
		emptied()
	}
}

// addLocked adds n to the permits of m.
func (d *door) addLocked(m member, n int) {
	i := slices.IndexFunc(d.holders, func(h holder) bool { return h.member == m })
	if i < 0 {
		i = len(d.holders)
		d.holders = append(d.holders, holder{member: m})
	}
	if d.holders[i].n += n; d.holders[i].n == 0 {
		d.holders = slices.Delete(d.holders, i, i+1)
	}
}

// onEmpty sets fn to be called each time the last permit is given back.
func (d *door) onEmpty(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.emptied = fn
}

// isEmpty reports whether no pool of the key has a permit.
func (d *door) isEmpty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.holders) == 0
}

// String says what the pool of the key waits for.
func (d *door) String() string {
	d.mu.Lock()
	waits, n := d.changed != nil, 0
	for _, h := range d.holders {
		n += h.n
	}
	d.mu.Unlock()
	if waits {
		return fmt.Sprintf("the key has %d open connections, including those from before it was forgotten", n)
	}
	if gate, ok := d.Gate.(fmt.Stringer); ok {
		return gate.String()
	}
	return "at the gate"
}
