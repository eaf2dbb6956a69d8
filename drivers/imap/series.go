package imap

import (
	"math/rand/v2"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// series is the state that a Watch keeps from one connection to the next. Only one
// goroutine uses it.
type series struct {
	backoff  time.Duration // the next pause
	last     error         // of the last connection; nil once fn has succeeded
	refused  bool          // the last connection could not select the mailbox
	broken   int           // connections in a row that were lost in an IDLE
	idleFrom time.Time     // when IDLE may be tried again; zero means now
}

// pause returns how long to wait after err, and doubles the backoff.
func (s *series) pause(err error) time.Duration {
	s.last = err
	wait := s.backoff + rand.N(s.backoff/2)
	if asked, ok := driver.RetryAfter(err); ok {
		wait = max(wait, asked)
	}
	s.backoff = min(2*s.backoff, maxWatchBackoff)
	return wait
}

// waited records a successful wait for news, in an IDLE or not.
func (s *series) waited(inIdle bool) {
	s.backoff = watchBackoff
	if inIdle {
		s.broken = 0
	}
}

// brokeInIdle records that a connection was lost in an IDLE.
func (s *series) brokeInIdle() {
	if s.broken++; s.broken >= maxBroken {
		s.leaveIdle()
	}
}

// leaveIdle makes the Watch poll for noIdleTime.
func (s *series) leaveIdle() { s.idleFrom = time.Now().Add(noIdleTime) }
