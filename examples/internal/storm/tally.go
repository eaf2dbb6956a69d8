//go:build linux

package storm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/pool"
)

// Wrong is the error for an answer to another request.
type Wrong struct{ Got, Want string }

func (w *Wrong) Error() string { return fmt.Sprintf("storm: got %.100q, want %.100q", w.Got, w.Want) }

// Check returns nil if got is want, else a *Wrong.
func Check(got, want string) error {
	if got == want {
		return nil
	}
	return &Wrong{got, want}
}

// tally has the results of a storm.
type tally struct {
	requests, answered, wrong atomic.Int64
	connects                  atomic.Int64
	peak                      atomic.Int64 // the most connections seen at the server

	mu     sync.Mutex // guards the fields below
	phases []*events
}

// events are the outcomes of one phase, and an example of each.
type events struct {
	name    string
	counts  map[string]int
	sample  map[string]string
	refused int // connections that the server refused, by its own count
}

func (t *tally) phase(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phases = append(t.phases, &events{name: name, counts: map[string]int{}, sample: map[string]string{}})
}

// refuse records how many connections the server refused in this phase.
func (t *tally) refuse(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phases[len(t.phases)-1].refused = n
}

// count records the outcome of a worker's request. ctx is the context of the worker.
func (t *tally) count(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return // the storm is over
	}
	class := class(err)
	switch class {
	case "answered":
		t.answered.Add(1)
	case "wrong":
		t.wrong.Add(1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.phases[len(t.phases)-1]
	now.counts[class]++
	if err != nil && now.sample[class] == "" {
		now.sample[class] = err.Error()
	}
}

// class returns the name of an outcome.
func class(err error) string {
	switch {
	case err == nil:
		return "answered"
	case errors.As(err, new(*Wrong)):
		return "wrong"
	case errors.As(err, new(*pool.AcquireError)):
		return "no connection"
	case errors.Is(err, context.DeadlineExceeded):
		return "given up"
	case driver.IsBad(err):
		return "lost"
	}
	return "other"
}

// sample counts the server's connections repeatedly until stop is called.
func (t *tally) sample(s *realserver.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		for ctx.Err() == nil {
			t.peak.Store(max(t.peak.Load(), int64(s.AtOnce())))
			wait(ctx, 10*time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

// report logs the results.
func (t *tally) report(tb testing.TB, s pool.Stats) {
	tb.Logf("%d requests, %d answered; %d connects, %d failed; at most %d connections at the server, MaxOpen %d; closed: %+v",
		t.requests.Load(), t.answered.Load(), t.connects.Load(), s.ConnectFailures, t.peak.Load(), s.MaxOpen, s.Closed)
	for _, e := range t.phases {
		var line strings.Builder
		for _, class := range []string{"answered", "no connection", "given up", "lost", "other", "wrong"} {
			if n := e.counts[class]; n > 0 {
				fmt.Fprintf(&line, "  %s %d", class, n)
			}
		}
		if line.Len() == 0 && e.refused == 0 {
			continue
		}
		if e.refused > 0 {
			fmt.Fprintf(&line, "  refused by the server %d", e.refused)
		}
		tb.Logf("%-10s %s", e.name, line.String())
		for _, class := range []string{"other", "wrong"} {
			if e.sample[class] != "" {
				tb.Logf("%-10s   %s: %s", "", class, e.sample[class])
			}
		}
	}
}

// watched counts the Connects of a connector.
type watched struct {
	driver.Connector
	tally *tally
}

// Connect implements driver.Connector.
func (w watched) Connect(ctx context.Context) (driver.Conn, error) {
	w.tally.connects.Add(1)
	return w.Connector.Connect(ctx)
}

// Advice implements driver.Advisor.
func (w watched) Advice() driver.Advice {
	if a, ok := w.Connector.(driver.Advisor); ok {
		return a.Advice()
	}
	return driver.Advice{}
}
