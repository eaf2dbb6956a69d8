package status

import (
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source whose snapshot the test sets.
type fake struct {
	mu       sync.Mutex
	snapshot pool.Snapshot
	holders  []pool.Holder
	takes    time.Duration // of each call of Snapshot, in a bubble
	asked    int           // calls of Snapshot
}

// newFake returns a healthy pool with MaxOpen 10, without connections or activity.
func newFake(id uint64, name string) *fake {
	f := &fake{snapshot: pool.Snapshot{ID: id, Pool: name, Opened: time.Now()}}
	f.snapshot.Stats.MaxOpen, f.snapshot.Stats.Limit = 10, 10
	return f
}

func (f *fake) Snapshot() pool.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.takes > 0 {
		<-time.After(f.takes)
	}
	f.snapshot.At = time.Now()
	s := f.snapshot
	s.Conns = slices.Clone(s.Conns) // like a pool, which makes new ones
	return s
}

func (f *fake) Holders() []pool.Holder { return f.holders }

// set changes the snapshot.
func (f *fake) set(change func(*pool.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.snapshot)
}

// reads returns how often Snapshot was called.
func (f *fake) reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// get reads the page.
func get(p *Page, query string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/pools"+query, nil))
	return w
}

// after waits in the fake time of a bubble.
func after(d time.Duration) { <-time.After(d) }

// inTrouble fills a snapshot with everything that a page can show.
func inTrouble(s *pool.Snapshot) {
	s.State, s.Why = pool.Down, `connecting fails (12s): "<script>alert(1)</script>"; the next attempt is in 3s`
	s.MinIdle, s.MaxIdle, s.OldestWait, s.NextConnect = 2, -1, 2100*time.Millisecond, 3*time.Second
	s.Gate = "98 of 100 connections, 3 pools wait"
	s.Stats = pool.Stats{
		Gauges:   pool.Gauges{MaxOpen: 10, Limit: 4, Open: 3, Idle: 1, Leased: 2, Connecting: 1, Gated: 1, Closing: 1, Waiting: 17},
		Acquires: 12345, Waits: 678, Timeouts: 9, Connects: 50, ConnectFailures: 40,
		Closed: pool.Closes{Bad: 5, Yielded: 6},
	}
	s.Conns = []pool.ConnInfo{
		{State: "leased", Age: time.Hour, For: 95 * time.Second, Uses: 1234, Peer: "10.0.0.7:993", Suspect: true},
		{State: "idle", Age: 90 * time.Second, For: 12 * time.Second, Uses: 1},
		{State: "connecting", For: 300 * time.Millisecond},
	}
	s.Servers = []pool.ServerInfo{
		{Addr: "10.0.0.7:993", Name: "mail.example.org:993", Status: "down", Since: s.Opened.Add(-90 * time.Second), Connecting: 1, Error: "refused"},
		{Addr: "10.0.0.8:993", Name: "10.0.0.8:993", Status: "untried", Open: 3},
	}
	s.Errors = []pool.ErrorInfo{{At: s.Opened, Event: "connect", Text: "dial <b>refused</b>"}}
}
