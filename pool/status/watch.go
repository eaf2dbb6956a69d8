package status

import (
	"net/url"
	"strconv"
	"time"

	"github.com/hotline-go/hotline/pool"
)

const (
	sampleEvery = 5 * time.Second
	window      = 10 * time.Minute // of the plots
	maxSamples  = int(window / sampleEvery)

	// freshFor is how old the data of an answer may be. All readers together cause one
	// refresh in this time.
	freshFor = time.Second

	// restFor extends freshFor on pages of thousands of pools, to this many times the
	// duration of the refresh and the drawing. So readers cost at most about a tenth of
	// a CPU.
	restFor = 10

	// shortest is the least duration of a sample. Rates over less time mean little.
	shortest = time.Second

	// keepClosed is how long a closed pool is shown.
	keepClosed = time.Minute
)

// watch has the recent history of the pools of a page. Page.drawing guards it.
type watch struct {
	opened time.Time         // when the page was opened; the times of samples count from here
	at     time.Time         // of the last refresh
	tracks map[uint64]*track // by Snapshot.ID
	names  map[string]*track // by Snapshot.Pool; nil if several pools have the name
	shown  []shown           // as of the last refresh
}

// shown is a group and its pools.
type shown struct {
	*group
	tracks []*track
}

// track is one pool over time.
type track struct {
	source   Source
	now      pool.Snapshot // at the last refresh
	base     pool.Snapshot // when the last sample was taken, reduced by bare
	worst    pool.State    // the worst state since then
	samples  []sample      // oldest first, at most maxSamples
	closedAt time.Time     // when it was first seen closed and without connections
}

func newWatch(now time.Time) watch {
	return watch{opened: now, tracks: make(map[uint64]*track)}
}

// refresh takes a snapshot of every pool. It returns the groups whose only pool was
// closed long ago.
func (w *watch) refresh(groups []*group, now time.Time) (gone []*group) {
	before := w.tracks
	w.at, w.tracks, w.shown = now, make(map[uint64]*track, len(before)), nil
	w.names = make(map[string]*track, len(before))
	for _, g := range groups {
		seen := shown{group: g}
		for s := range g.pools {
			t := w.update(before, s)
			if t.expired(now) {
				continue
			}
			seen.tracks = append(seen.tracks, t)
			w.name(t)
		}
		if g.single && len(seen.tracks) == 0 {
			gone = append(gone, g)
			continue
		}
		w.shown = append(w.shown, seen)
	}
	return gone
}

// update takes a snapshot of s.
func (w *watch) update(before map[uint64]*track, s Source) *track {
	now := s.Snapshot()
	t := before[now.ID]
	if t == nil {
		t = &track{base: bare(now), worst: now.State}
	}
	t.worst = worse(t.worst, now.State)
	w.tracks[now.ID] = t
	t.source, t.now = s, now
	return t
}

// name records t by its name, if no other pool has the name.
func (w *watch) name(t *track) {
	name := t.now.Pool
	if other, taken := w.names[name]; taken && other != t {
		t = nil
	}
	w.names[name] = t
}

// find returns the pool whose name or ID is pool.
func (w *watch) find(pool string) *track {
	if t := w.names[pool]; t != nil {
		return t
	}
	id, err := strconv.ParseUint(pool, 10, 64)
	if err != nil {
		return nil
	}
	return w.tracks[id]
}

// query is the URL parameter for t: its name, or its ID if another pool has that name.
func (w *watch) query(t *track) string {
	name := t.now.Pool
	if w.names[name] != t {
		name = strconv.FormatUint(t.now.ID, 10)
	}
	return "pool=" + url.QueryEscape(name)
}

// expired reports whether t was closed long ago. A closed pool stays while connections
// of it are in use.
func (t *track) expired(now time.Time) bool {
	if t.now.State != pool.Closed || t.now.Stats.Open > 0 {
		t.closedAt = time.Time{}
		return false
	}
	if t.closedAt.IsZero() {
		t.closedAt = now
	}
	return now.Sub(t.closedAt) >= keepClosed
}

// sample adds a sample of each pool to its track.
func (w *watch) sample() {
	for _, t := range w.tracks {
		if s, ok := t.fresh(w.opened); ok {
			t.add(s)
			t.base, t.worst = bare(t.now), t.now.State
		}
	}
}

// bare returns s without the lists that take memory.
func bare(s pool.Snapshot) pool.Snapshot {
	s.Conns, s.Errors, s.Servers, s.Budget = nil, nil, nil, nil
	return s
}
