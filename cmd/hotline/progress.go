package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar that fills as time passes. A nil progress shows nothing.
type progress struct {
	bar           *progressbar.ProgressBar
	stop, stopped chan struct{}
}

// newProgress starts a bar on w that is full after d, if w is a terminal.
func newProgress(w io.Writer, d time.Duration) *progress {
	if !isTerminal(w) {
		return nil
	}
	return startProgress(w, d)
}

// startProgress starts a bar. end removes it.
func startProgress(w io.Writer, d time.Duration) *progress {
	p := &progress{
		bar: progressbar.NewOptions64(d.Milliseconds(),
			progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(30),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionClearOnFinish(),
		),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go p.fill(time.Now(), d) // ends at end
	return p
}

// fill draws the bar ten times a second. It never fills it completely, because the bar
// would vanish.
func (p *progress) fill(began time.Time, d time.Duration) {
	defer close(p.stopped)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = p.bar.Set64(min(time.Since(began), d-1).Milliseconds()) // it does not matter if the bar can't be drawn
		case <-p.stop:
			return
		}
	}
}

// stage shows text beside the bar.
func (p *progress) stage(text string) {
	if p != nil {
		p.bar.Describe(text)
	}
}

// end removes the bar.
func (p *progress) end() {
	if p == nil {
		return
	}
	close(p.stop)
	<-p.stopped
	_ = p.bar.Clear()
}
