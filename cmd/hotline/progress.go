package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar that fills as time passes. A nil one shows nothing.
type progress struct {
	bar           *progressbar.ProgressBar
	stop, stopped chan struct{}
}

// newProgress starts a bar on w that is full after d, if w is a terminal.
func newProgress(w io.Writer, d time.Duration) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return startProgress(w, d)
}

// startProgress starts a bar that end takes away.
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

// fill draws the bar ten times a second. It stops short of full, because the
// bar would vanish.
func (p *progress) fill(began time.Time, d time.Duration) {
	defer close(p.stopped)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = p.bar.Set64(min(time.Since(began), d-1).Milliseconds()) // a bar that can't be drawn is no loss
		case <-p.stop:
			return
		}
	}
}

// stage says what is going on.
func (p *progress) stage(text string) {
	if p != nil {
		p.bar.Describe(text)
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p == nil {
		return
	}
	close(p.stop)
	<-p.stopped
	_ = p.bar.Clear()
}
