package drivertest

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func readyConnection(p *probe) {
	first, second := p.firstConnect(), p.firstConnect()
	if p.twice(second) {
		p.failf("two calls of Connect returned the same connection")
	}
	for _, conn := range []driver.Conn{first, second} {
		if v, ok := conn.(driver.Validator); ok && !v.IsValid() {
			p.failf("IsValid() = false on a new connection")
		}
		if !p.canExchange(conn) {
			continue
		}
		for range 2 {
			c := p.startExchange(conn)
			if err := p.must(c); err != nil {
				p.failf("%s on a new connection: %v", c.what, err)
			}
		}
	}
}

// firstConnect is connectUnused for the rule that checks Connect itself.
func (p *probe) firstConnect() driver.Conn {
	p.Helper()
	conn, c := p.startConnect(p.Context())
	if err := p.must(c); err != nil || *conn == nil {
		p.failf("Connect = %v, %v, want a connection", *conn, err)
	}
	return *conn
}

func connectEndsWithItsContext(p *probe) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, c := p.startConnect(ended)
	if p.must(c) == nil {
		p.failf("Connect succeeded although its ctx had already ended")
	}

	p.Server.Silence()
	halfway, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.endHalfway(halfway, cancel)
	deadline, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	p.endHalfway(deadline, func() {})
}

// soon is a deadline that a call must obey.
const soon = 20 * time.Millisecond

// endHalfway ends ctx during a Connect. A driver that needs no answer to connect
// succeeds before that.
func (p *probe) endHalfway(ctx context.Context, end func()) {
	p.Helper()
	_, c := p.startConnect(ctx)
	p.awaitOpenOr(c, 1)
	end()
	if !p.returns(c) {
		p.failf("Connect did not return within %v after its ctx ended", limit)
	}
}

// awaitOpenOr waits until the server sees n connections or c is done.
func (p *probe) awaitOpenOr(c *call, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() { // ends with c, or with ctx
		select {
		case <-c.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	p.Server.AwaitOpen(ctx, n)
}

func failedConnectLeavesNothing(p *probe) {
	if p.Fill != nil {
		makeRoom := p.Fill()
		conn, c := p.startConnect(context.Background())
		if err := p.should(c, connectEnds); err == nil {
			p.close(*conn) // see FullServerIsFull
		} else {
			p.nothingLeft(*conn, err)
		}
		makeRoom()
	}

	p.Server.Silence()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, c := p.startConnect(ctx)
	p.awaitOpenOr(c, 1)
	cancel()
	if err := p.should(c, connectEnds); err == nil {
		p.close(*conn) // this driver needs no answer, so it can't fail this way
	} else {
		p.nothingLeft(*conn, err)
	}

	p.Server.Refuse()
	conn, c = p.startConnect(context.Background())
	err := p.should(c, connectEnds)
	if err == nil {
		p.failf("Connect succeeded although the server refused it")
	}
	p.nothingLeft(*conn, err)
}

// nothingLeft fails the rule if a failed Connect has left something.
func (p *probe) nothingLeft(conn driver.Conn, err error) {
	p.Helper()
	if conn != nil {
		p.failf("Connect returned a connection together with the error %v", err)
	}
	if stacks := p.goroutines.await(0); stacks != nil {
		p.failf("Connect failed with %v and left goroutines:\n%s", err, stacks)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if p.Server.AwaitOpen(ctx, 0) != nil {
		p.failf("Connect failed with %v and left its connection to the server open", err)
	}
}

func fullServerIsFull(p *probe) {
	if p.Fill == nil {
		p.Skip("the Subject has no Fill")
	}
	p.connect()
	makeRoom := p.Fill()
	for range 2 {
		conn, c := p.startConnect(context.Background())
		switch err := p.should(c, connectEnds); {
		case err == nil && p.twice(*conn):
			p.Skipf("two Connects returned the same connection; see %s", basic)
		case err == nil:
			p.failf("Connect succeeded although the server was full")
		case driver.IsPermanent(err):
			p.failf("Connect = %v on a full server; it is driver.IsPermanent, as if there would never be room", err)
		case !driver.IsFull(err):
			p.failf("Connect = %v on a full server; it is not driver.IsFull", err)
		}
	}
	makeRoom()
	conn, c := p.startConnect(context.Background())
	if err := p.should(c, connectEnds); err != nil || *conn == nil {
		p.failf("Connect = %v, %v when the server had room again, want a connection", *conn, err)
	}
}

// enough is how many requests it takes to find a fault that shows up a little late, with
// letOthersRun before each.
const enough = 10

// letOthersRun is a pause for what the driver does in the background. In fake time it lasts
// until all of that has been done.
func letOthersRun() { <-time.After(time.Millisecond) }

func contextOfConnectEnds(p *probe) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, c := p.startConnect(ctx)
	if err := p.should(c, basic); err != nil {
		p.Skipf("Connect: %v; see %s", err, basic)
	}
	p.needExchange(*conn)
	if err := p.should(p.startExchange(*conn), basic); err != nil {
		p.Skipf("the first request failed: %v; see %s", err, basic)
	}
	cancel()
	for range enough {
		letOthersRun()
		c := p.startExchange(*conn)
		if err := p.must(c); err != nil {
			p.failf("%s after the ctx of Connect ended: %v", c.what, err)
		}
	}
}

func connectorIsConcurrent(p *probe) {
	p.connect()
	p.connect()
	const n = 8
	var conns [n]*driver.Conn
	var calls [n]*call
	for i := range n {
		conns[i], calls[i] = p.startConnect(context.Background())
	}
	for i, c := range calls {
		if err := p.must(c); err != nil || *conns[i] == nil {
			p.failf("one of %d concurrent Connects = %v, %v", n, *conns[i], err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.Server.AwaitOpen(ctx, 2+n); err != nil {
		p.failf("%d concurrent Connects succeeded, after two before them: %v", n, err)
	}
	if !p.canExchange(*conns[0]) {
		return
	}
	for i, conn := range conns {
		calls[i] = p.startExchange(*conn)
	}
	for _, c := range calls {
		if err := p.must(c); err != nil {
			p.failf("%s on one of %d connections made concurrently: %v", c.what, n, err)
		}
	}
}
