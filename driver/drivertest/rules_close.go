package drivertest

import (
	"context"
	"reflect"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func secondCloseIsHarmless(p *probe) {
	conn, other := p.connect(), p.connect()
	p.close(conn)
	p.must(p.start("the second Close", conn.Close)) // it may return an error
	if p.canExchange(other) {
		c := p.startExchange(other)
		if err := p.must(c); err != nil {
			p.failf("%s after the second Close of another connection: %v", c.what, err)
		}
	}
}

func closeUnblocksIO(p *probe) {
	conn := p.connect()
	p.needExchange(conn)
	blocked := p.blockedExchange(conn)
	closing := p.start("Close", conn.Close)
	if !p.returns(blocked) {
		p.failf("%s did not return within %v after Close", blocked.what, limit)
	}
	if blocked.err == nil {
		p.failf("%s succeeded although the peer was silent and the connection closed", blocked.what)
	}
	p.should(closing, closeBounded)
}

// blockedExchange begins a request that reaches the peer and gets no answer.
func (p *probe) blockedExchange(conn driver.Conn) *call {
	p.Helper()
	received := p.Server.Silence()
	c := p.startExchange(conn)
	select {
	case <-received:
		return c
	case <-c.done:
		p.Skipf("%s = %v on a silent peer, without waiting; see %s", c.what, c.err, pingAsks)
	case <-time.After(limit):
		p.Skipf("%s sent nothing within %v", c.what, limit)
	}
	return nil
}

func closeIsBounded(p *probe) {
	conn := p.connect()
	p.Server.Silence()
	p.must(p.start("Close of a connection whose peer is silent", conn.Close))
}

func closeLeavesNothing(p *probe) {
	healthy, dead := p.connect(), p.connect()
	p.close(healthy)
	p.Server.Hangup()
	if p.canExchange(dead) {
		p.should(p.startExchange(dead), closeUnblocks)
	}
	p.close(dead)
	if stacks := p.goroutines.await(0); stacks != nil {
		p.failf("Close left goroutines:\n%s", stacks)
	}
}

func closedIsInvalid(p *probe) {
	conn := p.connect()
	v := needs[driver.Validator](p, conn)
	p.close(conn)
	if p.isValid(v) {
		p.failf("IsValid() = true after Close")
	}
}

func failedIsInvalid(p *probe) {
	conn, pinged := p.connect(), p.connect()
	v := needs[driver.Validator](p, conn)
	p.needExchange(conn)
	p.Server.Silence()
	if pinger, ok := pinged.(driver.Pinger); ok {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if c := p.startPing(ctx, pinger); p.should(c, pingEnds) != nil {
			p.wantInvalid(pinged.(driver.Validator), c)
		}
	}
	p.Server.Hangup()
	c := p.startExchange(conn)
	if p.should(c, pingEnds) == nil {
		p.Skipf("%s succeeded after the peer closed; see %s", c.what, pingAsks)
	}
	p.wantInvalid(v, c)
}

// wantInvalid fails the rule if a connection is valid after c failed.
func (p *probe) wantInvalid(v driver.Validator, c *call) {
	p.Helper()
	if p.isValid(v) {
		p.failf("IsValid() = true after %s failed: %v", c.what, c.err)
	}
}

func localCallsNeverWait(p *probe) {
	conn := p.connect()
	v, validates := conn.(driver.Validator)
	b, binds := conn.(driver.Binder)
	r, receives := conn.(driver.Receiver)
	s, sends := conn.(driver.Sender)
	if !validates && !binds && !receives && !sends {
		p.Skip("the connection is not a driver.Validator, driver.Binder, driver.Receiver or driver.Sender")
	}
	p.Server.Silence()
	if validates && !p.isValid(v) {
		p.failf("IsValid() = false although only the peer was silent")
	}
	if binds {
		p.must(p.start("Bind", func() error {
			b.Bind(context.Background())()
			return nil
		}))
	}
	if receives {
		p.counted("Received", r.Received)
	}
	if sends {
		p.counted("Sent", s.Sent)
	}
}

// counted calls count, a method of a connection. It fails the rule if that blocks.
func (p *probe) counted(method string, count func() int64) (n int64) {
	p.Helper()
	p.must(p.start(method, func() error {
		n = count()
		return nil
	}))
	return n
}

// isValid calls v.IsValid. It fails the rule if that blocks.
func (p *probe) isValid(v driver.Validator) (valid bool) {
	p.Helper()
	p.must(p.start("IsValid", func() error {
		valid = v.IsValid()
		return nil
	}))
	return valid
}

// needs returns conn as an I, or skips the rule.
func needs[I any](p *probe, conn driver.Conn) I {
	p.Helper()
	i, ok := conn.(I)
	if !ok {
		p.Skipf("the connection is not a %v", reflect.TypeFor[I]())
	}
	return i
}
