package status

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

// samples returns the samples of the only pool of the page.
func (p *Page) samples(t *testing.T) []sample {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	require.Len(t, p.watch.tracks, 1)
	for _, only := range p.watch.tracks {
		return slices.Clone(only.samples)
	}
	return nil
}

func TestTheLastTenMinutesAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, "a")
		page := New(f)
		defer page.Close()
		synctest.Wait() // until the first refresh is over
		after(time.Second)
		f.set(func(s *pool.Snapshot) {
			s.State, s.OldestWait = pool.Degraded, 3*time.Second
			s.Stats = pool.Stats{
				Gauges:   pool.Gauges{Open: 9, Leased: 8, Limit: 10, Waiting: 7},
				Acquires: 5000, Waits: 50, Connects: 15, ConnectFailures: 5, Timeouts: 20, Canceled: 30, Rejected: 40, Failed: 50,
			}
			s.WaitTimes.Counts[3] = 100 // 400 to 800 µs
		})
		after(5 * time.Second)
		synctest.Wait()
		want := sample{
			at: 5 * time.Second, took: 5, state: pool.Degraded, open: 9, leased: 8, limit: 10, waiting: 7, oldest: 3, p50: 0.0006, p99: 0.000796,
			acquires: 1000, waits: 10, connects: 2, failures: 1, timeouts: 4, canceled: 6, rejected: 8, failed: 10,
		}
		assert.Equal(t, []sample{want}, page.samples(t))
		after(20 * time.Minute)
		synctest.Wait()
		samples := page.samples(t)
		assert.Len(t, samples, 120)
		assert.Equal(t, 20*time.Minute, samples[119].at-samples[119].at%time.Minute)
		assert.Equal(t, window-sampleEvery, samples[119].at-samples[0].at)
		assert.Zero(t, samples[119].acquires, "nothing has happened since")
	})
}

func TestReadersOfManyPoolsTakeATenthOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, "a")
		f.takes = time.Second
		page := New()
		defer page.Close()
		page.groups = []*group{{single: true, pools: slices.Values([]Source{f})}} // without a timer
		for range 40 {
			get(page, "")
			after(time.Second)
		}
		assert.Equal(t, 5, f.reads())
	})
}

// A page that was opened a few seconds ago already shows something.
func TestAReaderSeesWhatHappenedSinceTheLastSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, "a")
		page := New(f)
		defer page.Close()
		synctest.Wait()
		after(2 * time.Second)
		f.set(func(s *pool.Snapshot) { s.Stats.Acquires = 3000 })
		f.set(func(s *pool.Snapshot) { s.State = pool.Down })
		get(page, "")
		after(time.Second)
		f.set(func(s *pool.Snapshot) { s.State, s.Stats.Acquires = pool.Healthy, 4500 })
		text := get(page, "").Body.String()
		assert.Contains(t, text, "In this time: down for 3 s.", "a reader has seen it")
		after(8 * time.Second)
		states := page.samples(t)
		assert.Equal(t, []pool.State{pool.Down, pool.Healthy}, []pool.State{states[0].state, states[1].state})
		assert.Contains(t, text, `<dt>Acquires</dt><dd>1,500 <small>/s</small>`)
		assert.Contains(t, text, "Acquires per second in the last 60 seconds; all: now 1,500, at most 1,500; had to wait: now 0, at most 0</title>")
	})
}

func TestReadersShareOneRefreshASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, "a")
		page := New(f)
		defer page.Close()
		synctest.Wait()
		after(time.Second)
		before := f.reads()
		var readers sync.WaitGroup
		for i := range 1000 {
			query := []string{"", "?pool=a", "?format=json"}[i%3]
			readers.Go(func() { assert.Equal(t, 200, get(page, query).Code) })
		}
		readers.Wait()
		assert.Equal(t, 1, f.reads()-before)
		f.set(func(s *pool.Snapshot) { s.Stats.Leased = 9 })
		after(time.Second)
		assert.Contains(t, get(page, "").Body.String(), "<dt>In use</dt><dd>9 ")
	})
}

func TestAClosedPoolLeavesAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, other := newFake(1, "a"), newFake(2, "b")
		page := New(f, other)
		defer page.Close()
		f.set(func(s *pool.Snapshot) { s.State, s.Stats.Open = pool.Closed, 1 })
		after(time.Hour)
		assert.Contains(t, get(page, "").Body.String(), `Closed: <a href="?pool=a">a</a>`, "a connection of it is still in use")
		assert.Contains(t, get(page, "").Body.String(), `<h1>b</h1>`, "the only one that is open")
		f.set(func(s *pool.Snapshot) { s.Stats.Open = 0 })
		after(59 * time.Second)
		assert.Contains(t, get(page, "?pool=a").Body.String(), "Closed</h2>")
		after(7 * time.Second)
		assert.Equal(t, 404, get(page, "?pool=a").Code)
		reads := f.reads()
		after(time.Hour)
		assert.Equal(t, reads, f.reads(), "it is forgotten")
	})
}

func TestAPageReadsNothingWithoutPoolsOrAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g := newFake(1, "a"), newFake(2, "b")
		page := New()
		remove := page.Add(f)
		after(61 * time.Second)
		assert.Equal(t, 13, f.reads())
		remove()
		remove()
		assert.Contains(t, get(page, "").Body.String(), "No pool is open.")
		page.mu.Lock()
		assert.Nil(t, page.timer)
		page.mu.Unlock()
		after(time.Minute)
		page.Add(g)
		after(61 * time.Second)
		page.Close()
		page.Close()
		page.Add(f)()
		assert.Equal(t, 503, get(page, "").Code)
		after(time.Hour)
		assert.Equal(t, []int{13, 13}, []int{f.reads(), g.reads()})
	})
}

func TestPagesAreReadAndChangedAtTheSameTime(t *testing.T) {
	page := New(newFake(1000, "steady"))
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			for j := range 50 {
				remove := page.Add(newFake(uint64(i*50+j), fmt.Sprint(i)))
				page.sample()
				get(page, "?pool=steady")
				remove()
			}
		})
	}
	users.Go(func() { page.Close() })
	users.Wait()
}

// thousand returns 1,000 busy pools.
func thousand() []Source {
	sources := make([]Source, 1000)
	for i := range sources {
		f := newFake(uint64(i+1), fmt.Sprintf("imaps account%d@mail.example.org:993", i))
		f.set(func(s *pool.Snapshot) {
			s.Stats.Open, s.Stats.Leased, s.Stats.Waiting = 8, i%8, i%3
			s.Conns = slices.Repeat([]pool.ConnInfo{{State: "idle", Peer: "10.0.0.7:993"}}, 8)
		})
		sources[i] = f
	}
	return sources
}

func TestAThousandPoolsFitOnAPageAndInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := thousand()
		inUse := func() int {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		before := inUse()
		page := New()
		defer page.Close()
		page.AddGroup("mail", slices.Values(sources))
		after(11 * time.Minute)
		synctest.Wait()
		each := (inUse() - before) / 1000
		text := get(page, "").Body.String()
		t.Logf("per pool: %d bytes in memory, %d bytes on the page", each, len(text)/1000)
		assert.Less(t, each, 14_000)
		assert.Less(t, len(text), 1_500_000)
		assert.Equal(t, 1000, strings.Count(text, `<th scope="row">`))
	})
}

// BenchmarkOverview measures drawing a page of 1,000 pools, without the Snapshots. A page
// is drawn at most once a second, however many readers it has.
func BenchmarkOverview(b *testing.B) {
	page := New()
	defer page.Close()
	page.AddGroup("mail", slices.Values(thousand()))
	page.sample()
	for i := range maxSamples {
		for _, t := range page.watch.tracks {
			t.add(sample{at: time.Duration(i) * sampleEvery, open: 8, leased: float32(i % 8), waiting: float32(i % 3)})
		}
	}
	for _, format := range []string{"html", "json"} {
		b.Run("pools=1000/format="+format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page.watch.at = time.Time{}
				if _, err := page.draw("", format == "json"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
