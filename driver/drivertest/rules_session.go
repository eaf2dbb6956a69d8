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
	p.resets(p.connectUnused(), "an unused connection") // as for MinIdle of a pool
	if d, ok := conn.(interface{ SetDeadline(time.Time) error }); ok {
		d.SetDeadline(time.Unix(1, 0))
	}
	p.resets(conn, "a healthy connection")
	if p.Spoil == nil {
		p.Log("state that a holder leaves is not checked: the Subject has no Spoil")
		return
	}
	p.cleansUpState(conn)
}

// resets fails the rule unless conn can be reset and then works. what describes
// conn.
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

// cleansUpState checks the state that Spoil leaves.
func (p *probe) cleansUpState(conn driver.Conn) {
	p.Helper()
	if err := p.must(p.start("Spoil", func() error { return p.Spoil(conn) })); err != nil {
		p.failf("Spoil: %v", err)
	}
	if p.must(p.startReset(p.Context(), conn)) != nil {
		return // it may fail if it can't clean up: the pool discards the connection
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
			p.failf("ResetSession succeeded although the peer had %s the connection", end.how)
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
		p.Skipf("Exchange did not end with the ctx of Bind; see %s", bindEnds)
	}
	for what, b := range map[string]bound{"the outer of two Binds": outer, "the inner of two Binds": inner, "a Bind, after the unbind of one inside it,": outlived} {
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

// bind binds conn to a context that ends when the rule does, or earlier.
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

// needBinder returns conn as a Binder, or skips the rule. Ping can't replace
// Exchange here, because it may bind the connection itself.
func (p *probe) needBinder(conn driver.Conn) driver.Binder {
	p.Helper()
	if p.Exchange == nil {
		p.Skip("the Subject has no Exchange")
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
		letOthersRun()
		if err := p.must(p.startExchange(conn)); err != nil {
			p.failf("Exchange after unbind and the end of ctx: %v", err)
		}
	}
	for range enough {
		conn = p.unbindLate(conn)
	}
}

// unbindLate unbinds conn during a cancellation. That may break the connection,
// but not after unbind has returned. It returns conn, or a new connection if conn
// is broken.
func (p *probe) unbindLate(conn driver.Conn) driver.Conn {
	p.Helper()
	_, before := p.goroutines.stacks()
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
	p.goroutines.await(before) // until a late cancellation has ended
	if err := p.must(p.startExchange(conn)); err != nil {
		p.failf("Exchange after unbind, when ctx ended just before it: %v", err)
	}
	return conn
}

func receivedCountsAnswers(p *probe) {
	conn := p.connectUnused()
	p.counts(conn, "Received", "an answer", needs[driver.Receiver](p, conn).Received)
}

func sentCountsRequests(p *probe) {
	conn := p.connectUnused()
	p.counts(conn, "Sent", "a request", needs[driver.Sender](p, conn).Sent)
}

// counts fails the rule unless count, a method of conn, is zero after Connect and
// ResetSession, more after an exchange, and harmless after Close.
func (p *probe) counts(conn driver.Conn, method, of string, count func() int64) {
	p.Helper()
	if p.Exchange == nil {
		p.Skip("the Subject has no Exchange") // a Ping may need no answer
	}
	for _, before := range []string{"Connect", "ResetSession"} {
		if n := p.counted(method, count); n != 0 {
			p.failf("%s() = %d after %s, want 0", method, n, before)
		}
		if err := p.should(p.startExchange(conn), basic); err != nil {
			p.Skipf("the first request failed: %v; see %s", err, basic)
		}
		if n := p.counted(method, count); n <= 0 {
			p.failf("%s() = %d after %s, want more than 0", method, n, of)
		}
		if _, resets := conn.(driver.SessionResetter); !resets {
			break
		}
		if err := p.should(p.startReset(p.Context(), conn), resetEnds); err != nil {
			p.Skipf("ResetSession of a healthy connection: %v; see ResetSessionCleansUp", err)
		}
	}
	p.close(conn)
	p.counted(method, count)
}

func errBadConnMeansNothingWasDone(p *probe) {
	if p.Exchange == nil {
		p.Skip("the Subject has no Exchange")
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
		p.failf("Exchange = %v after the peer got the request; the error says that it is safe to retry", err)
	}
}
