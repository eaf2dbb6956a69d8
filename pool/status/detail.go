package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// detail describes one pool.
type detail struct {
	pool.Snapshot
	Window      string
	Figures     []figure
	Use         []part
	Strip       []block
	StripText   string
	Plots       []plot
	Holders     []pool.Holder
	MoreConns   int // how many connections are not listed
	MoreServers int // how many servers are not listed
	Tables      []table
	Shared      *budget // of the gate, or nil
}

// maxRows limits how many connections, servers and holders are listed.
const maxRows = 200

// figure is a number to show.
type figure struct {
	Name, Value, Of string
	State           pool.State // how bad the number is
}

// table is a list of numbers.
type table struct {
	Title, Caption, Of, Count string
	Rows                      []figure
}

// detail describes the pool of t.
func (w *watch) detail(t *track) *detail {
	history := t.history(w.opened)
	since := t.base.At
	if len(history) > 0 {
		since = w.opened.Add(history[0].at)
	}
	f := w.frame(since)
	d := &detail{
		Snapshot: t.now, Window: f.words(), Figures: figures(t.now, t.latest(w.opened)), Use: parts(t.now.Stats.Gauges),
		Shared: newBudget(t.now.Budget),
		Tables: []table{counters(t.now.Stats), closes(t.now.Stats.Closed), settings(t.now)},
	}
	d.Strip, d.StripText = f.strip(history)
	for _, c := range charts {
		d.Plots = append(d.Plots, f.plot(c, history))
	}
	if more := len(d.Conns) - maxRows; more > 0 {
		d.Conns, d.MoreConns = d.Conns[:maxRows], more
	}
	if more := len(d.Servers) - maxRows; more > 0 {
		d.Servers, d.MoreServers = d.Servers[:maxRows], more
	}
	for _, h := range t.source.Holders() {
		if h.Suspect && len(d.Holders) < maxRows {
			d.Holders = append(d.Holders, h)
		}
	}
	return d
}

// figures returns the most important numbers, for the top of the page.
func figures(s pool.Snapshot, last sample) []figure {
	g := s.Stats.Gauges
	all := []figure{
		{Name: "In use", Value: number(g.Leased), Of: "of " + limit(g.MaxOpen)},
		{Name: "Idle", Value: number(g.Idle)},
		{Name: "Callers waiting", Value: number(g.Waiting)},
		{Name: "Longest wait", Value: span(s.OldestWait)},
		{Name: "Queue p99", Value: seconds(last.p99)},
		{Name: "Acquires", Value: rate(last.acquires), Of: "/s"},
		{Name: "Connecting", Value: number(g.Connecting + g.Gated)},
		{Name: "Failed connects", Value: rate(last.failures), Of: "/s"},
	}
	if g.Leased >= g.MaxOpen && g.Waiting > 0 {
		all[0].State = pool.Degraded
	}
	if s.OldestWait >= time.Second {
		all[2].State, all[3].State = pool.Degraded, pool.Degraded
	}
	if last.failures > 0 {
		all[7].State = pool.Down
	}
	if g.Limit < g.MaxOpen {
		all[0].Of = fmt.Sprintf("of %s, limit %s", limit(g.MaxOpen), limit(g.Limit))
	}
	if s.NextConnect > 0 {
		all = append(all, figure{Name: "Next connect in", Value: span(s.NextConnect.Round(100 * time.Millisecond)), State: pool.Down})
	}
	return all
}

// counters returns the counters of the pool.
func counters(s pool.Stats) table {
	count := func(name string, n int64) figure { return figure{Name: name, Value: number(n)} }
	return table{"Counters", "Since the pool was opened.", "What", "Number", []figure{
		count("Acquires", s.Acquires),
		count("Waits in the queue", s.Waits),
		count("Waits that only a release could end", s.ReleaseWaits),
		count("Waits that timed out", s.Timeouts),
		count("Waits canceled by the caller", s.Canceled),
		count("Callers turned away by MaxWaiters", s.Rejected),
		count("Callers that got a connect error", s.Failed),
		count("Connects", s.Connects),
		count("Connects that failed", s.ConnectFailures),
		count("Connections dead at their first use", s.Useless),
		count("Pings", s.Pings),
		count("Pings that failed", s.PingFailures),
		count("Connections hijacked", s.Hijacked),
	}}
}

// closes returns why connections were closed.
func closes(c pool.Closes) table {
	t := table{Title: "Closes", Caption: "By reason, since the pool was opened.", Of: "Reason", Count: "Number"}
	for _, f := range []struct {
		name string
		n    int64
	}{
		{"Bad: an I/O, hook or check error", c.Bad},
		{"Invalid when it was released", c.Invalid},
		{"Idle for MaxIdleTime, or more than MaxIdle", c.Idle},
		{"Older than MaxLifetime", c.Lifetime},
		{"Leased MaxUses times", c.Uses},
		{"Reset or Resize", c.Reset},
		{"Given up for another pool at the gate", c.Yielded},
		{"Close or Shutdown", c.Shutdown},
	} {
		t.Rows = append(t.Rows, figure{Name: f.name, Value: number(f.n)})
	}
	return t
}

// settings returns the limits of the pool.
func settings(s pool.Snapshot) table {
	maxIdle := limit(s.MaxIdle)
	if s.MaxIdle < 0 {
		maxIdle = limit(unlimited)
	}
	return table{"Settings", "Limit is below MaxOpen while the server has no room for more connections.", "Name", "Value", []figure{
		{Name: "MaxOpen", Value: limit(s.Stats.MaxOpen)},
		{Name: "Limit", Value: limit(s.Stats.Limit)},
		{Name: "MinIdle", Value: number(s.MinIdle)},
		{Name: "MaxIdle", Value: maxIdle},
	}}
}

// block is a span of time in one state, in the strip above the plots.
type block struct {
	State               pool.State
	X, Y, Width, Height int
}

// heights are the heights of the blocks. They tell the states apart without color.
var heights = map[pool.State]int{pool.Healthy: 5, pool.Degraded: 10, pool.Down: 16, pool.Suspended: 8, pool.Closed: 2}

// stripHeight is the height of the highest block.
const stripHeight = 16

// strip draws the states over time, and says how long each lasted.
func (f frame) strip(history []sample) (blocks []block, text string) {
	lasted := make(map[pool.State]time.Duration)
	for _, s := range history {
		took := time.Duration(float64(s.took) * float64(time.Second))
		lasted[s.state] += took
		x := f.x(s.at - took)
		width := f.x(s.at) - x
		if n := len(blocks); n > 0 && blocks[n-1].State == s.state && blocks[n-1].X+blocks[n-1].Width == x {
			blocks[n-1].Width += width
		} else {
			h := heights[s.state]
			blocks = append(blocks, block{s.state, x, stripHeight - h, width, h})
		}
	}
	var words []string
	for _, state := range badness {
		if d := lasted[state]; d > 0 {
			words = append(words, fmt.Sprintf("%v for %s", state, span(d.Round(time.Second))))
		}
	}
	if len(words) == 0 {
		return blocks, "The first sample is taken within 10 seconds."
	}
	return blocks, "In this time: " + strings.Join(words, ", ") + "."
}
