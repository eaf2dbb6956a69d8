package drivertest

import (
	"context"
	"errors"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func resetCleansUp(p *probe) {
	conn := p.connect()
	needs[driver.SessionResetter](p, conn)
	p.resets(p.connectUnused(), "a connection that nobody has used") // a spare of the pool
	if d, ok := conn.(interface{ SetDeadline(time.Time) error }); ok {
		d.SetDeadline(time.Unix(1, 0))
	}
	p.resets(conn, "a healthy connection")
	if p.Spoil != nil {
		p.cleansUpState(conn)
	}
}

// resets fails the rule unless conn, which what describes, can be reset and
// works then.
func (p *probe) resets(conn driver.Conn, what string) {
	p.Helper()
	if err := p.should(p.startReset(p.Context(), conn), resetEnds); err != nil {
		p.failf("ResetSession of %s: %v", what, err)
	}
	if !p.canExchange(conn) {
		return
	}
	c := p.startExchange(conn)
	if err := p.must(c); err != nil {
		p.failf("%s after ResetSession of %s: %v", c.what, what, err)
	}
}

// cleansUpState is for the state that the author of the driver knows of.
func (p *probe) cleansUpState(conn driver.Conn) {
	p.Helper()
	if err := p.must(p.start("Spoil", func() error { return p.Spoil(conn) })); err != nil {
		p.failf("Spoil: %v", err)
	}
	if p.must(p.startReset(p.Context(), conn)) != nil {
		return // it refuses what it can't clean, and the pool discards it
	}
	if err := p.must(p.start("Fresh", func() error { return p.Fresh(conn) })); err != nil {
		p.failf("ResetSession left the state of the last holder: %v", err)
	}
}

func resetFindsADeadPeer(p *probe) {
	needs[driver.SessionResetter](p, p.connect())
	for _, end := range p.ends() {
		conn := p.connect()
		end.do()
		if err := p.awaitError(conn, p.startReset, resetEnds); err == nil {
			p.failf("ResetSession succeeds although the peer has %s the connection", end.how)
		} else if !driver.IsBad(err) {
			p.failf("ResetSession = %v after the peer %s the connection; it is not driver.IsBad", err, end.how)
		}
	}
}

func bindEndsBlockedIO(p *probe) {
	conn := p.connect()
	b := p.needBinder(conn)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	unbind := b.Bind(ctx)
	blocked := p.blockedExchange(conn)
	cancel()
	if !p.returns(blocked) {
		p.failf("Exchange did not return within %v after the ctx of Bind ended", limit)
	}
	if blocked.err == nil {
		p.failf("Exchange succeeded on a silent peer")
	}
	p.must(p.start("unbind", func() error { unbind(); return nil }))
}

func bindsNest(p *probe) {
	conn := p.connect()
	p.needBinder(conn)
	alone := p.bind(conn)
	conn = p.connect()
	outer, within := p.bind(conn), p.bind(conn)
	conn = p.connect()
	around, inner := p.bind(conn), p.bind(conn)
	conn = p.connect()
	outlived, over := p.bind(conn), p.bind(conn)
	over.unbind()
	// From here on the peer is silent.
	if !p.endsIO(alone) {
		p.Skipf("the end of the ctx of Bind does not end Exchange; see %s", bindEnds)
	}
	for what, b := range map[string]bound{"the outer of two Binds": outer, "the inner of two Binds": inner, "a Bind, after one inside it was over,": outlived} {
		if !p.endsIO(b) {
			p.failf("Exchange did not return within %v after the ctx of %s ended", limit, what)
		}
	}
	p.must(p.start("unbind", func() error {
		for _, b := range []bound{alone, within, outer, inner, around, outlived} {
			b.unbind()
		}
		return nil
	}))
}

// bound is a Bind in force.
type bound struct {
	conn   driver.Conn
	end    context.CancelFunc // of its ctx
	unbind func()
}

// bind binds conn to a context that ends with the rule at the latest.
func (p *probe) bind(conn driver.Conn) bound {
	ctx, cancel := context.WithCancel(p.Context())
	return bound{conn, cancel, conn.(driver.Binder).Bind(ctx)}
}

// endsIO reports whether the end of b's context ends an Exchange.
func (p *probe) endsIO(b bound) bool {
	p.Helper()
	blocked := p.blockedExchange(b.conn)
	b.end()
	return p.returns(blocked)
}

// needBinder returns conn as a Binder, or skips the rule. Ping won't do as an
// exchange, because it may bind the connection itself.
func (p *probe) needBinder(conn driver.Conn) driver.Binder {
	p.Helper()
	if p.Exchange == nil {
		p.Skip("there is no Exchange")
	}
	return needs[driver.Binder](p, conn)
}

func unbindEndsTheBinding(p *probe) {
	conn := p.connect()
	b := p.needBinder(conn)
	ctx, cancel := context.WithCancel(context.Background())
	b.Bind(ctx)()
	cancel()
	for range enough {
		if err := p.must(p.startExchange(conn)); err != nil {
			p.failf("Exchange after unbind, when ctx ended: %v", err)
		}
	}
	for range enough {
		conn = p.unbindLate(conn)
	}
}

// unbindLate unbinds conn while a cancellation is under way. That may harm the
// connection, but not after unbind. It returns conn, or another connection if
// it was harmed.
func (p *probe) unbindLate(conn driver.Conn) driver.Conn {
	p.Helper()
	_, before := p.crew.stacks()
	ctx, cancel := context.WithCancel(context.Background())
	unbind := conn.(driver.Binder).Bind(ctx)
	p.must(p.start("unbind", func() error {
		cancel()
		unbind()
		return nil
	}))
	if p.must(p.startExchange(conn)) != nil {
		p.close(conn)
		return p.connect()
	}
	p.crew.await(before) // for a cancellation that is still under way
	if err := p.must(p.startExchange(conn)); err != nil {
		p.failf("Exchange after unbind, where ctx ended just before it: %v", err)
	}
	return conn
}

func receivedCountsAnswers(p *probe) {
	if p.Exchange == nil {
		p.Skip("there is no Exchange") // a Ping may ask for no answer
	}
	conn := p.connectUnused()
	r := needs[driver.Receiver](p, conn)
	for _, before := range []string{"Connect", "ResetSession"} {
		if n := p.received(r); n != 0 {
			p.failf("Received() = %d after %s, want 0", n, before)
		}
		if err := p.should(p.startExchange(conn), basic); err != nil {
			p.Skipf("the first request failed: %v; see %s", err, basic)
		}
		if n := p.received(r); n <= 0 {
			p.failf("Received() = %d after an answer, want more than 0", n)
		}
		if _, resets := conn.(driver.SessionResetter); !resets {
			break
		}
		if err := p.should(p.startReset(p.Context(), conn), resetEnds); err != nil {
			p.Skipf("ResetSession of a healthy connection: %v; see ResetSessionCleansUp", err)
		}
	}
	p.close(conn)
	p.received(r)
}

func errBadConnMeansNothingWasDone(p *probe) {
	if p.Exchange == nil {
		p.Skip("there is no Exchange")
	}
	conn, bound := p.connect(), p.connect()
	if b, ok := bound.(driver.Binder); ok {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		defer b.Bind(ctx)()
		c := p.blockedExchange(bound)
		cancel()
		p.notSafeToRetry(p.should(c, bindEnds))
	}
	c := p.blockedExchange(conn)
	p.Server.Hangup()
	p.notSafeToRetry(p.should(c, closeUnblocks))
}

// notSafeToRetry fails the rule if err says that nothing was done, though the
// peer got the request.
func (p *probe) notSafeToRetry(err error) {
	p.Helper()
	if errors.Is(err, driver.ErrBadConn) || driver.SafeToRetry(err) {
		p.failf("Exchange = %v after the peer got the request, which is to say that it may be made again", err)
	}
}
