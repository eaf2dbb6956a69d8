package browser

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/status"
)

// fake is a pool whose snapshot the test sets.
type fake struct {
	mu       sync.Mutex
	snapshot pool.Snapshot
}

// newFake returns a pool that has some of everything that a page shows.
func newFake(name string, id uint64) *fake {
	s := pool.Snapshot{Pool: name, ID: id, Opened: time.Now(), MinIdle: 2, MaxIdle: -1, Gate: "98 of 100 connections"}
	s.State, s.Why = pool.Degraded, "17 callers wait, the oldest for 2.1s: all 10 connections are in use; 1 lease may be leaked: older than 30s"
	s.Stats.Gauges = pool.Gauges{MaxOpen: 10, Limit: 10, Open: 8, Idle: 3, Leased: 5, Connecting: 1, Closing: 1, Waiting: 17}
	s.OldestWait = 2100 * time.Millisecond
	s.Conns = []pool.ConnInfo{
		{State: "leased", Age: time.Hour, For: 95 * time.Second, Uses: 1_234_567, Peer: "[2001:db8:85a3:1234:5678:8a2e:370:7334]:993", Suspect: true},
		{State: "idle", Age: time.Minute, For: time.Second, Uses: 3, Peer: "192.0.2.7:993"},
	}
	s.Servers = []pool.ServerInfo{
		{Addr: "192.0.2.7:993", Name: "mail.example.org:993", Status: "down", Error: "imaps ada@mail.example.org:993: dial tcp 192.0.2.7:993: connect: connection refused"},
		{Addr: "[2001:db8:85a3:1234:5678:8a2e:370:7334]:993", Name: "mail.example.org:993", Status: "up", Since: time.Now(), Open: 8},
	}
	s.Errors = []pool.ErrorInfo{{At: time.Now(), Event: "connect", Text: "imaps ada@mail.example.org:993: dial tcp 192.0.2.7:993: connect: connection refused"}}
	return &fake{snapshot: s}
}

func (f *fake) Snapshot() pool.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot.At = time.Now()
	return f.snapshot
}

func (f *fake) Holders() []pool.Holder {
	return []pool.Holder{{Age: 95 * time.Second, Peer: "192.0.2.7:993", Suspect: true, Stack: "main.(*worker).synchronizeTheMailboxes\n\t/src/worker/with/a/rather/long/path/to/its/source.go:88"}}
}

// set changes the snapshot.
func (f *fake) set(change func(*pool.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.snapshot)
}

// serve serves a page of sources until the test ends.
func serve(t *testing.T, sources ...status.Source) *httptest.Server {
	page := status.New(sources...)
	t.Cleanup(page.Close)
	server := httptest.NewServer(http.Handler(page))
	t.Cleanup(server.Close)
	return server
}
