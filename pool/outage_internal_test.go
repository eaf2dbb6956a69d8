package pool

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// An outage records the results of Connects and decides when the next may start.
func TestOutageSaysWhenTheNextConnectMayStart(t *testing.T) {
	const ms = time.Millisecond
	err, worse := errors.New("refused"), errors.New("wrong password")
	fails := failure{err: err}
	full := failure{err: err, full: true}

	// event is something that happens to an outage. The functions below make events from
	// their time and the number of occupied or open connections.
	type event func(o *outage)
	failed := func(at time.Duration, f failure, open int) event {
		return func(o *outage) { o.failed(at*ms, 7, f, open) }
	}
	starts := func(at time.Duration, occupied int) event {
		return func(o *outage) { o.starting(at*ms, occupied) }
	}
	worked := func(at time.Duration, open int, probe bool) event {
		return func(o *outage) { o.succeeded(at*ms, open, 10, probe) }
	}
	wasted := func(at time.Duration, seq, started uint64) event {
		return func(o *outage) { o.wasted(at*ms, &birth{seq: seq}, started, err, 0) }
	}
	proved := func(seq uint64) event {
		return func(o *outage) { o.proved(&birth{seq: seq}) }
	}

	for name, tt := range map[string]struct {
		events []event
		below  time.Duration // in ms: when the next Connect may start with 3 connections
		beyond time.Duration // the same with 4 connections
		atMost int
		err    error
		order  uint64
	}{
		"nothing":            {atMost: 10},
		"a start":            {events: []event{starts(5, 3)}, atMost: 10},
		"a failure":          {events: []event{failed(5, fails, 3)}, below: 105, beyond: 105, atMost: 10, err: err, order: 7},
		"two at a time":      {events: []event{failed(5, fails, 3), failed(9, fails, 3)}, below: 105, beyond: 105, atMost: 10, err: err, order: 7},
		"and a start":        {events: []event{failed(5, fails, 3), starts(105, 3)}, below: 305, beyond: 305, atMost: 10, err: err, order: 7},
		"and another":        {events: []event{failed(5, fails, 3), starts(105, 3), starts(305, 3)}, below: 705, beyond: 705, atMost: 10, err: err, order: 7},
		"up to the longest":  {events: []event{failed(5, fails, 3), starts(1, 3), starts(2, 3), starts(3, 3), starts(4, 3)}, below: 804, beyond: 804, atMost: 10, err: err, order: 7},
		"a success ends it":  {events: []event{failed(5, fails, 3), starts(105, 3), worked(106, 4, false)}, atMost: 10},
		"and starts it over": {events: []event{failed(5, fails, 3), starts(105, 3), worked(106, 4, false), failed(200, fails, 4)}, below: 300, beyond: 300, atMost: 10, err: err, order: 7},
		"permanent": {events: []event{failed(5, failure{err: worse, permanent: true}, 3)},
			below: 60005, beyond: 60005, atMost: 10, err: worse, order: 7},
		"permanent stays": {events: []event{failed(5, failure{err: worse, permanent: true}, 3), failed(6, fails, 3)},
			below: 60005, beyond: 60005, atMost: 10, err: worse, order: 7},
		"and a start, permanent": {events: []event{failed(5, failure{err: worse, permanent: true}, 3), starts(70000, 3)},
			below: 130000, beyond: 130000, atMost: 10, err: worse, order: 7},
		"throttled": {events: []event{failed(5, failure{err: err, pause: time.Second}, 3)},
			below: 1005, beyond: 1005, atMost: 10, err: err, order: 7},
		"throttled for too long": {events: []event{failed(5, failure{err: err, pause: time.Hour}, 3)},
			below: 300005, beyond: 300005, atMost: 10, err: err, order: 7},
		"throttled beyond a success": {events: []event{failed(5, failure{err: err, pause: time.Second}, 3), worked(6, 4, false)},
			below: 1005, beyond: 1005, atMost: 10, err: err},
		"throttled long ago": {events: []event{failed(5, failure{err: err, pause: time.Second}, 3), worked(1005, 4, false)}, atMost: 10},

		"full":              {events: []event{failed(5, full, 4)}, beyond: 105, atMost: 4, err: err, order: 7},
		"full, with a hint": {events: []event{failed(5, failure{err: err, full: true, pause: time.Second}, 4)}, beyond: 1005, atMost: 4, err: err, order: 7},
		"full, a hint too long": {events: []event{failed(5, failure{err: err, full: true, pause: time.Hour}, 4)},
			beyond: 300005, atMost: 4, err: err, order: 7},
		"full, twice at a time": {events: []event{failed(5, full, 4), failed(6, full, 4)}, beyond: 105, atMost: 4, err: err, order: 7},
		"full, and a probe":     {events: []event{failed(5, full, 4), starts(105, 4)}, beyond: 305, atMost: 4, err: err, order: 7},
		"full, one below":       {events: []event{failed(5, full, 4), starts(50, 3), worked(51, 4, false)}, beyond: 105, atMost: 4, err: err},
		"full, a slow probe":    {events: []event{failed(5, full, 4), starts(105, 4), failed(400, full, 4)}, beyond: 800, atMost: 4, err: err, order: 7},
		"a probe works":         {events: []event{failed(5, full, 3), starts(105, 3), worked(106, 4, true)}, atMost: 10},
		"and the next does not": {events: []event{failed(5, full, 3), starts(105, 3), worked(106, 4, true), starts(107, 4), failed(108, full, 4)}, beyond: 207, atMost: 4, err: err, order: 7},
		"room for all":          {events: []event{failed(5, full, 9), starts(105, 9), worked(106, 10, true)}, atMost: 10},
		"full and an outage":    {events: []event{failed(5, full, 4), failed(5, fails, 4)}, below: 105, beyond: 105, atMost: 4, err: err, order: 7},

		"a useless one":           {events: []event{wasted(5, 1, 1)}, atMost: 10},
		"of the same batch":       {events: []event{wasted(5, 1, 3), wasted(5, 2, 3), wasted(5, 3, 3)}, atMost: 10},
		"two in a row":            {events: []event{wasted(5, 1, 1), wasted(6, 2, 2)}, below: 106, beyond: 106, atMost: 10, err: err},
		"a Connect is nothing":    {events: []event{wasted(5, 1, 1), wasted(6, 2, 2), worked(7, 1, false)}, below: 106, beyond: 106, atMost: 10, err: err},
		"a useful one is":         {events: []event{wasted(5, 1, 1), wasted(6, 2, 2), proved(3), worked(7, 1, false)}, atMost: 10},
		"an old one is not":       {events: []event{wasted(5, 1, 1), wasted(6, 2, 2), proved(2), worked(7, 1, false)}, below: 106, beyond: 106, atMost: 10, err: err},
		"nor one in between":      {events: []event{wasted(5, 1, 1), proved(2), wasted(6, 3, 3)}, atMost: 10},
		"a server that is down":   {events: []event{wasted(5, 1, 1), wasted(6, 2, 2), failed(7, fails, 0), worked(8, 1, false)}, atMost: 10},
		"a useless one by chance": {events: []event{wasted(5, 1, 1), failed(6, fails, 0), worked(7, 1, false), wasted(8, 3, 3)}, atMost: 10},
	} {
		t.Run(name, func(t *testing.T) {
			o := outage{backoff: Backoff{Initial: 100 * ms, Factor: 2, Jitter: -1, Max: 800 * ms}}
			for _, e := range tt.events {
				e(&o)
			}
			assert.Equal(t, tt.below*ms, o.startsAt(3), "with 3 occupied")
			assert.Equal(t, tt.beyond*ms, o.startsAt(4), "with 4 occupied")
			assert.Equal(t, tt.atMost, o.atMost(10))
			assert.Equal(t, 2, o.atMost(2), "no more than the pool allows")
			assert.Equal(t, fmt.Sprint(tt.err), fmt.Sprint(o.err))
			assert.Equal(t, tt.order, o.order)
		})
	}
}

func TestKeeperSeesThatTheMachineWasSuspended(t *testing.T) {
	k := keeper{}
	assert.False(t, k.wasSuspended(0, time.Second))
	assert.False(t, k.wasSuspended(900*time.Millisecond, time.Second), "less than the span")
	assert.False(t, k.wasSuspended(1800*time.Millisecond, time.Second), "less than the span, for the second time")
	assert.True(t, k.wasSuspended(time.Hour, time.Second))
	assert.False(t, k.wasSuspended(time.Hour, time.Second), "only once")
	assert.False(t, k.wasSuspended(-time.Hour, time.Second), "a clock that is set back")
}
