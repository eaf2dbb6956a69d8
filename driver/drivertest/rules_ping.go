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
	for _, end := range p.ends() {
		conn := p.connect()
		end.do()
		if p.awaitError(conn, p.pingOf, pingEnds) == nil {
			p.failf("Ping succeeded although the peer had %s the connection", end.how)
		}
	}

	conn = p.connect()
	received := p.Server.Silence()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if p.should(p.pingOf(ctx, conn), pingEnds) == nil && p.hasSent(conn, received) {
		p.failf("Ping succeeded although the peer did not answer")
	}
}

// pingOf is startPing for a connection that is a Pinger.
func (p *probe) pingOf(ctx context.Context, conn driver.Conn) *call {
	return p.startPing(ctx, conn.(driver.Pinger))
}

// hasSent closes conn, the only connection, and reports whether the server
// received anything from it. A Ping that sends nothing can't expect an answer.
func (p *probe) hasSent(conn driver.Conn, received <-chan struct{}) bool {
	p.Helper()
	p.close(conn)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.Server.AwaitOpen(ctx, 0); err != nil {
		p.Skipf("%v; see %s", err, closeReaches)
	}
	return isDone(received)
}

// ends are the ways in which a peer ends a connection.
func (p *probe) ends() []end {
	return []end{{"closed", p.Server.Hangup}, {"reset", p.Server.Reset}}
}

type end struct {
	how string
	do  func()
}

// awaitError repeats a call until it fails, because the end of a connection
// takes time to arrive. other is the rule for a call that does not return.
func (p *probe) awaitError(conn driver.Conn, start func(context.Context, driver.Conn) *call, other string) (err error) {
	p.Helper()
	poll(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		err = p.should(start(ctx, conn), other)
		return err != nil
	})
	return err
}

func pingEndsWithItsContext(p *probe) {
	conn := p.connect()
	needs[driver.Pinger](p, conn)
	p.endsWithItsContext(conn, p.connect(), p.pingOf)
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

// endsWithItsContext fails the rule unless a call that gets no answer ends when
// its ctx is canceled, and at the deadline of its ctx, and leaves no goroutine.
// A call that needs no answer ends before that.
func (p *probe) endsWithItsContext(a, b driver.Conn, start func(context.Context, driver.Conn) *call) {
	p.Helper()
	received := p.Server.Silence()
	_, before := p.goroutines.stacks()

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
		p.failf("%s did not return within %v after its ctx was canceled", c.what, limit)
	}
	ctx, cancel = context.WithTimeout(context.Background(), soon)
	defer cancel()
	if c := start(ctx, b); !p.returns(c) {
		p.failf("%s did not return within %v after the deadline of its ctx", c.what, limit)
	}
	if stacks := p.goroutines.await(before); stacks != nil {
		p.failf("%s returned and left goroutines, among these:\n%s", c.what, stacks)
	}
}
