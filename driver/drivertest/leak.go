package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// goroutines finds the goroutines that a driver started in one rule. They inherit
// a profiler label from the call that started them, so that goroutines of the
// server and of other tests don't count.
type goroutines struct{ label string }

var labels atomic.Int64 // makes labels unique

func newGoroutines() goroutines {
	return goroutines{fmt.Sprintf("rule-%d", labels.Add(1))}
}

// do runs fn on the calling goroutine. Goroutines that fn starts get the label.
func (g goroutines) do(fn func()) {
	pprof.Do(context.Background(), pprof.Labels("drivertest", g.label), func(context.Context) { fn() })
}

// stacks returns the stacks of the goroutines that are running, one text for all
// with the same stack, and their number.
func (g goroutines) stacks() (stacks []string, running int) {
	var profile bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	_, groups, _ := strings.Cut(profile.String(), "\n") // a header
	for group := range strings.SplitSeq(groups, "\n\n") {
		if strings.Contains(group, `"`+g.label+`"`) {
			count, _, _ := strings.Cut(group, " ")
			n, _ := strconv.Atoi(count)
			stacks, running = append(stacks, group), running+n
		}
	}
	return stacks, running
}

// await waits until at most n goroutines are running, and returns nil. If that takes
// longer than limit, it returns their stacks.
func (g goroutines) await(n int) (stacks []string) {
	poll(func() bool {
		var running int
		stacks, running = g.stacks()
		if running <= n {
			stacks = nil
		}
		return stacks == nil
	})
	return stacks
}

// poll calls done, less and less often, until it returns true or limit has passed.
func poll(done func() bool) {
	timeout := time.After(limit)
	for pause := time.Millisecond; !done(); pause = min(2*pause, limit/10) {
		select {
		case <-time.After(pause):
		case <-timeout:
			return
		}
	}
}
