package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// State sums up how a pool is doing.
type State uint8

// The states of a pool, from good to bad.
const (
	Healthy   State = iota // nothing is wrong
	Degraded               // the pool works, but callers wait long, or something fails
	Down                   // the pool has no connection, and connecting fails
	Suspended              // Resize(0) was called
	Closed                 // Close or Shutdown was called
)

var states = [...]string{"healthy", "degraded", "down", "suspended", "closed"}

func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return fmt.Sprintf("State(%d)", s)
}

// MarshalText returns the text of String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets s to the state whose String is text. Any other text is an error.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(states[:], string(text))
	if i < 0 {
		return fmt.Errorf("pool: unknown state %s; want one of %v", driver.Quote(text), states)
	}
	*s = State(i)
	return nil
}

// longWait is how long the oldest caller may wait until the pool counts as Degraded.
const longWait = time.Second

// assess returns the State for s, and the reason for it. failing is how long the
// outage o has lasted.
func (s *Snapshot) assess(c *Config, closed bool, o *outage, failing time.Duration) (State, string) {
	g := &s.Stats.Gauges
	switch {
	case closed && g.Open > 0:
		return Closed, fmt.Sprintf("closed; %s", count(g.Open, "connection is still in use", "connections are still in use"))
	case closed:
		return Closed, "closed"
	case g.MaxOpen == 0:
		return Suspended, "Resize(0)"
	case o.err != nil && g.Open == 0:
		return Down, s.describeOutage(o, failing)
	}
	var why []string
	switch {
	case g.Limit < g.MaxOpen:
		why = append(why, fmt.Sprintf("the server is full: it takes %d of %d connections", g.Limit, g.MaxOpen))
	case o.err != nil:
		why = append(why, s.describeOutage(o, failing)+"; "+count(g.Open, "connection remains", "connections remain"))
	}
	if s.OldestWait >= longWait {
		why = append(why, s.describeWait())
	}
	if n := s.suspects(); n > 0 {
		why = append(why, count(n, "lease", "leases")+fmt.Sprintf(" may be leaked: older than %v", c.LeakAfter))
	}
	if why == nil {
		return Healthy, ""
	}
	return Degraded, strings.Join(why, "; ")
}

// describeOutage says why connecting fails, and when the next attempt is.
func (s *Snapshot) describeOutage(o *outage, failing time.Duration) string {
	what := "connecting fails"
	if o.full {
		what = "the server is full"
	}
	text := fmt.Sprintf("%s (for %v): %s", what, brief(failing), textOf(o.err))
	switch {
	case s.NextConnect > 0:
		text += fmt.Sprintf("; next attempt in %v", brief(s.NextConnect))
	case s.Stats.Connecting > 0:
		text += "; an attempt is in progress"
	default:
		text += "; the next caller starts another attempt"
	}
	return text
}

// describeWait says how many callers wait, and for what.
func (s *Snapshot) describeWait() string {
	g := &s.Stats.Gauges
	text := fmt.Sprintf("%s, the oldest for %v", count(g.Waiting, "caller waits", "callers wait"), brief(s.OldestWait))
	switch {
	case g.Leased == 1 && g.Limit == 1:
		text += ": the only connection is in use"
	case g.Leased > 0 && g.Leased >= g.Limit:
		text += fmt.Sprintf(": all %d connections are in use", g.Leased)
	case g.Gated > 0:
		text += ": no room at the gate: " + s.Gate
	case g.Connecting > 0:
		text += ": " + count(g.Connecting, "connect is in progress", "connects are in progress")
	case g.Closing > 0:
		text += ": " + count(g.Closing, "connection is being closed", "connections are being closed")
	}
	return text
}

// suspects returns how many leases may be leaked.
func (s *Snapshot) suspects() (n int) {
	for _, c := range s.Conns {
		if c.Suspect {
			n++
		}
	}
	return n
}

// count returns n with the singular or plural of its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// brief rounds d for people to read.
func brief(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
