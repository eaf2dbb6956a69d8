package status

import (
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// Source is a pool on a page: every *pool.Pool[C] is one, with these two of its
// methods: Snapshot and Holders.
type Source interface {
	Snapshot() pool.Snapshot
	Holders() []pool.Holder
}

// Pools drops the keys from all, for AddGroup: Pools(p.All()) returns the pools of
// a keyed.Pool.
func Pools[K, C any](all iter.Seq2[K, *pool.Pool[C]]) iter.Seq[Source] {
	return func(yield func(Source) bool) {
		for _, p := range all {
			if !yield(p) {
				return
			}
		}
	}
}

// Page shows pools. It is an http.Handler. Its methods may be called from any
// goroutine. It must not be copied.
type Page struct {
	mu     sync.Mutex  // guards the fields below; never held in a call of a Source
	groups []*group    // in the order they were added
	timer  *time.Timer // of sample; nil while there is no group
	closed bool

	drawing  sync.Mutex        // guards the fields below; held while pools are read and a page is drawn; taken before mu
	watch    watch             // result of the last refresh
	rendered map[view]document // since the last refresh
	cost     time.Duration     // of the last refresh and the drawing since then
}

// group has the pools added by one Add or AddGroup.
type group struct {
	name   string
	single bool // added by Add
	pools  iter.Seq[Source]
}

// New returns a page of sources. Close the page when it is no longer served.
func New(sources ...Source) *Page {
	p := &Page{watch: newWatch(time.Now())}
	groups := make([]*group, len(sources))
	for i, s := range sources {
		groups[i] = alone(s)
	}
	p.add(groups...) // together, so that the first refresh reads them all
	return p
}

// Add adds a pool and returns a function that removes it. A minute after a pool is
// closed, the page removes it by itself.
func (p *Page) Add(s Source) (remove func()) {
	return p.add(alone(s))
}

// alone returns the group for a pool added by itself.
func alone(s Source) *group {
	return &group{single: true, pools: func(yield func(Source) bool) { yield(s) }}
}

// AddGroup adds pools that come and go, under a heading with their sum, and returns
// a function that removes them. The page ranges over pools each time it reads them: from
// several goroutines, but one at a time.
func (p *Page) AddGroup(name string, pools iter.Seq[Source]) (remove func()) {
	return p.add(&group{name: name, pools: pools})
}

func (p *Page) add(groups ...*group) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(groups) > 0 {
		p.groups = append(p.groups, groups...)
		if p.timer == nil {
			p.timer = time.AfterFunc(0, p.sample)
		}
	}
	return func() { p.remove(groups...) }
}

// remove removes groups, if they are still there.
func (p *Page) remove(groups ...*group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.groups = slices.DeleteFunc(p.groups, func(g *group) bool { return slices.Contains(groups, g) })
	if len(p.groups) == 0 && p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// Close ends the page: from then on it answers 503. It does not close the pools, and
// leaves no goroutine.
func (p *Page) Close() {
	p.mu.Lock()
	p.closed, p.groups = true, nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	p.drawing.Lock() // waits for a refresh in progress
	defer p.drawing.Unlock()
	p.watch, p.rendered = watch{}, nil
}

// sample takes a sample of the pools for the plots, in the goroutine of the timer.
func (p *Page) sample() {
	defer p.restartTimer()
	p.drawing.Lock()
	defer p.drawing.Unlock()
	if p.refresh() {
		p.watch.sample()
	}
}

// restartTimer restarts the timer, unless there is nothing left to sample.
func (p *Page) restartTimer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Reset(sampleEvery)
	}
}

// refresh reads all pools, and removes the ones closed long ago. It returns false if the
// page is closed. The caller holds drawing.
func (p *Page) refresh() bool {
	p.mu.Lock()
	groups, closed := slices.Clone(p.groups), p.closed
	p.mu.Unlock()
	if closed {
		return false
	}
	defer p.spend(time.Now())
	p.rendered, p.cost = make(map[view]document), 0
	p.remove(p.watch.refresh(groups, time.Now())...)
	return true
}

// spend adds the time since began to cost. The caller holds drawing.
func (p *Page) spend(began time.Time) { p.cost += time.Since(began) }
