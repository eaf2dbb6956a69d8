package drivertest

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func pingMakesARoundTrip(p *probe) {
	conn := p.connect()
	pinger := needs[driver.Pinger](p, conn)
	for range 2 {
		if err := p.must(p.startPing(p.Context(), pinger)); err != nil {
			p.failf("Ping of a healthy peer: %v", err)
		}
	}
	for _, end := range []struct {
		how string
		do  func()
	}{
		{"closed the connection", p.Server.Hangup},
		{"reset the connection", p.Server.Reset},
		{"stopped answering", func() { p.Server.Silence() }},
	} {
		conn := p.connect()
		end.do()
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if p.should(p.startPing(ctx, conn.(driver.Pinger)), pingEnds) == nil {
			p.failf("Ping succeeded although the peer %s", end.how)
		}
	}
}

func pingEndsWithItsContext(p *probe) {
	conn := p.connect()
	needs[driver.Pinger](p, conn)
	p.endsWithItsContext(conn, p.connect(), func(ctx context.Context, conn driver.Conn) *call {
		return p.startPing(ctx, conn.(driver.Pinger))
	})
}

func resetEndsWithItsContext(p *probe) {
	conn := p.connect()
	needs[driver.SessionResetter](p, conn)
	p.endsWithItsContext(conn, p.connect(), p.startReset)
}

func (p *probe) startReset(ctx context.Context, conn driver.Conn) *call {
	return p.start("ResetSession", func() error {
		return conn.(driver.SessionResetter).ResetSession(ctx)
	})
}

// endsWithItsContext fails the rule unless a call that has no answer from the
// peer ends when its ctx is cancelled, and by a deadline, and leaves no
// goroutine. A call that asks for no answer ends before.
func (p *probe) endsWithItsContext(a, b driver.Conn, start func(context.Context, driver.Conn) *call) {
	p.Helper()
	received := p.Server.Silence()
	_, before := p.crew.stacks()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := start(ctx, a)
	select {
	case <-received:
	case <-c.done:
	case <-time.After(limit):
	}
	cancel()
	if !p.returns(c) {
		p.failf("%s did not return within %v after its ctx was cancelled", c.what, limit)
	}
	ctx, cancel = context.WithTimeout(context.Background(), soon)
	defer cancel()
	if c := start(ctx, b); !p.returns(c) {
		p.failf("%s did not return within %v after the deadline of its ctx", c.what, limit)
	}
	if stacks := p.crew.await(before); stacks != nil {
		p.failf("%s returned and left goroutines, among these:\n%s", c.what, stacks)
	}
}
