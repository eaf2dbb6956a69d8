package endpoints_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
)

// Servers and Want do what they must not, addresses come and go, callers give up, and
// the pool is reset at any moment. In the end, nothing is open, and nothing counts.
func TestRandomTroubleLeavesNothingOpen(t *testing.T) {
	for seed := range uint64(30) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) { newTrouble(t, seed).run() })
	}
}

// trouble makes it, at random.
type trouble struct {
	*testing.T
	farm  *farm
	names names
	set   *endpoints.Connector

	mu     sync.Mutex // guards random
	random *rand.Rand
}

func newTrouble(t *testing.T, seed uint64) *trouble {
	r := &trouble{T: t, farm: newFarm(t, ip1, ip2, ip3, "10.0.0.4:1"), random: rand.New(rand.NewPCG(seed, 0))}
	r.farm.all(r.connect, r.farm.addrs()...)
	r.names.set("one.test", "10.0.0.1", "10.0.0.2")
	r.names.set("two.test", "10.0.0.3")
	s := endpoints.Set{
		Addrs: []string{"one.test:1", "two.test:1", "10.0.0.4:1"}, Resolver: &r.names, Refresh: time.Second,
		Order: endpoints.Order(r.below(3)),
	}
	if r.below(2) == 0 {
		s.Want = r.want
	}
	r.set = r.farm.new(s)
	return r
}

// below returns a random number below n.
func (r *trouble) below(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

// upTo returns a random time up to d.
func (r *trouble) upTo(d time.Duration) time.Duration {
	return time.Duration(r.below(1000)) * d / 1000
}

// connect is a Connect of a server.
func (r *trouble) connect(ctx context.Context, _ *drivertest.FakeConn) error {
	switch r.below(14) {
	case 0:
		<-ctx.Done()
		return ctx.Err()
	case 1:
		panic("Connect")
	case 2:
		runtime.Goexit()
	case 3:
		return errScripted
	case 4:
		return driver.Permanent(errScripted)
	case 5:
		return driver.Full(errScripted, r.upTo(3*time.Second))
	case 6:
		return driver.Throttled(errScripted, r.upTo(3*time.Second))
	case 7:
		<-time.After(r.upTo(3 * time.Second)) // whatever ctx says
		return errScripted
	case 8:
		<-time.After(r.upTo(3 * time.Second))
	}
	return nil
}

// want is the Want of the set.
func (r *trouble) want(context.Context, driver.Conn) error {
	switch r.below(6) {
	case 0:
		return errors.New("unfit")
	case 1:
		panic("Want")
	case 2:
		runtime.Goexit()
	}
	return nil
}

// run makes trouble for a while.
func (r *trouble) run() {
	var callers, track sync.WaitGroup
	ctx, cancel := context.WithCancel(r.Context())
	if r.below(2) == 0 {
		track.Go(func() { r.set.Track(ctx, func(func(driver.Conn) bool) {}) })
	}
	for range 8 {
		callers.Go(func() {
			for range 30 {
				r.call()
				r.meddle()
			}
		})
	}
	callers.Wait()
	cancel()
	track.Wait()
	advance(10 * time.Second)
	for _, s := range r.set.State() {
		assert.Zero(r, s.Open, s)
		assert.Zero(r, s.Connecting, s)
	}
	assert.Equal(r, []int{0, 0, 0, 0}, r.farm.open())
}

// call connects, and closes the connection after a while.
func (r *trouble) call() {
	ctx, cancel := context.WithTimeout(r.Context(), r.upTo(6*time.Second))
	defer cancel()
	if r.below(4) == 0 {
		defer time.AfterFunc(r.upTo(2*time.Second), cancel).Stop()
	}
	c, err := r.set.Connect(ctx)
	if err != nil {
		return
	}
	<-time.After(r.upTo(2 * time.Second))
	assert.NoError(r, c.Close())
	r.set.Ended(c, r.below(4) == 0)
}

// meddle changes something in the middle of it all.
func (r *trouble) meddle() {
	switch r.below(10) {
	case 0:
		r.set.Forget()
	case 1:
		r.names.set("one.test", fmt.Sprintf("10.0.0.%d", 1+r.below(3)))
	case 2:
		r.names.set("one.test", "10.0.0.1", "10.0.0.2")
	}
}
