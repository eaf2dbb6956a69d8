package status

import (
	"slices"
	"time"

	"github.com/hotline-go/hotline/pool"
)

// sample is the state of a pool at a moment, and its activity since the last sample.
type sample struct {
	at    time.Duration // since the page was opened
	state pool.State    // the worst seen in this time
	took  float32       // time since the last sample, in seconds

	open, leased, limit, waiting float32
	oldest                       float32 // the longest wait in progress, in seconds
	p50, p99                     float32 // of the waits that have ended, in seconds

	// Per second.
	acquires, waits              float32
	connects, failures           float32
	timeouts, canceled, rejected float32
	failed                       float32 // callers that got a connect error
}

// sampleOf returns the sample between two snapshots of a pool.
func sampleOf(base, now pool.Snapshot, opened time.Time) sample {
	s, b := now.Stats, base.Stats
	took := float32(now.At.Sub(base.At).Seconds())
	rate := func(now, before int64) float32 { return float32(now-before) / took }
	waits := now.WaitTimes.Sub(base.WaitTimes)
	return sample{
		at: now.At.Sub(opened), took: took,
		open: float32(s.Open), leased: float32(s.Leased), limit: float32(s.Limit), waiting: float32(s.Waiting),
		oldest: float32(now.OldestWait.Seconds()),
		p50:    float32(waits.Quantile(0.5).Seconds()), p99: float32(waits.Quantile(0.99).Seconds()),
		acquires: rate(s.Acquires, b.Acquires), waits: rate(s.Waits, b.Waits),
		connects: rate(s.Connects-s.ConnectFailures, b.Connects-b.ConnectFailures), failures: rate(s.ConnectFailures, b.ConnectFailures),
		timeouts: rate(s.Timeouts, b.Timeouts), canceled: rate(s.Canceled, b.Canceled), rejected: rate(s.Rejected, b.Rejected), failed: rate(s.Failed, b.Failed),
	}
}

// fresh returns the activity of t since the last sample, unless that is too recent to be
// meaningful.
func (t *track) fresh(opened time.Time) (s sample, ok bool) {
	if t.now.At.Sub(t.base.At) < shortest {
		return sample{}, false
	}
	s = sampleOf(t.base, t.now, opened)
	s.state = t.worst
	return s, true
}

// add adds s. If there are maxSamples already, it drops the oldest.
func (t *track) add(s sample) {
	if len(t.samples) == maxSamples {
		t.samples = slices.Delete(t.samples, 0, 1)
	}
	t.samples = append(t.samples, s)
}

// history returns the samples of t up to now.
func (t *track) history(opened time.Time) []sample {
	all := slices.Clone(t.samples)
	if s, ok := t.fresh(opened); ok {
		all = append(all, s)
	}
	return all
}

// latest returns the last sample of t up to now, or a zero one.
func (t *track) latest(opened time.Time) sample {
	if s, ok := t.fresh(opened); ok || len(t.samples) == 0 {
		return s
	}
	return t.samples[len(t.samples)-1]
}
