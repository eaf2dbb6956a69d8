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

// crew is the goroutines that a driver started in one rule. They inherit
// a profiler label from the call that started them, so that those of the
// server and of other tests don't count.
type crew struct{ label string }

var crews atomic.Int64 // makes labels unique

func newCrew() crew {
	return crew{fmt.Sprintf("crew-%d", crews.Add(1))}
}

// do runs fn on the calling goroutine; what it starts belongs to the crew.
func (c crew) do(fn func()) {
	pprof.Do(context.Background(), pprof.Labels("drivertest", c.label), func(context.Context) { fn() })
}

// stacks returns the stacks of the goroutines there are, one text for all that
// do the same.
func (c crew) stacks() (stacks []string, goroutines int) {
	var profile bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	_, groups, _ := strings.Cut(profile.String(), "\n") // a header
	for group := range strings.SplitSeq(groups, "\n\n") {
		if strings.Contains(group, `"`+c.label+`"`) {
			count, _, _ := strings.Cut(group, " ")
			n, _ := strconv.Atoi(count)
			stacks, goroutines = append(stacks, group), goroutines+n
		}
	}
	return stacks, goroutines
}

// await waits until at most n goroutines are there. It returns the stacks if
// that is not so soon.
func (c crew) await(n int) (stacks []string) {
	poll(func() bool {
		var goroutines int
		stacks, goroutines = c.stacks()
		if goroutines <= n {
			stacks = nil
		}
		return stacks == nil
	})
	return stacks
}

// poll calls done, ever more seldom, until it returns true or it has taken limit.
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
