package main

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTallyAddsUp(t *testing.T) {
	now := time.Now()
	early, late := errors.New("early"), errors.New("late")
	a, b, sum := newTally(), newTally(), newTally()
	a.succeeded(1, 2, 3)
	a.failed(now.Add(time.Second), late)
	b.succeeded(10, 20, 30)
	b.failed(now, early)
	b.failed(now.Add(2*time.Second), late)
	for _, part := range []*tally{a, b, newTally()} {
		sum.add(part)
	}
	assert.EqualValues(t, 2, sum.requests())
	assert.EqualValues(t, 3, sum.errors)
	assert.Equal(t, early, sum.first)
	assert.Equal(t, []int64{10, 20, 30}, []int64{sum.get.Max(), sum.use.Max(), sum.total.Max()})
}

func TestTallyOfNothingHasNoRate(t *testing.T) {
	assert.Zero(t, newTally().perSecond())
}

func TestTallyTakesAnyTime(t *testing.T) {
	a := newTally()
	a.succeeded(0, 1, 1000*time.Hour)
	assert.EqualValues(t, 1, a.requests())
	assert.InEpsilon(t, longest, a.total.Max(), 0.01)
	assert.Zero(t, a.get.Max())
}
