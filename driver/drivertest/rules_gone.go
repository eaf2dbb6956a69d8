package drivertest

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// On a loaded machine the server may notice the end of a connection late, but
// not tries times in a row. A driver that closes in the background, after an
// answer from a silent peer or a timeout, is late every time.
const (
	atOnce = limit / 10
	tries  = 3
)

// ending is a way in which the use of a connection ends before its Close.
type ending struct {
	of   string // names the connection in messages
	last func(*probe, driver.Conn)
}

// closeReachesThePeer closes connections in several states, most of them while the
// peer is silent and answers neither a goodbye nor a cancel request.
func closeReachesThePeer(p *probe) {
	endings := endingsOf(p, p.connect())
	conns := make([]driver.Conn, tries*(1+len(endings)))
	for i := range conns {
		conns[i] = p.connect() // before Silence, because a login needs answers
	}
	g := &closeChecks{p, conns, len(conns) + 1}
	g.check(ending{"a healthy connection", func(*probe, driver.Conn) {}})
	p.Server.Silence()
	for _, e := range endings {
		g.check(e)
	}
}

// endingsOf returns the endings that connections like conn can have while the
// peer is silent.
func endingsOf(p *probe, conn driver.Conn) []ending {
	endings := []ending{{"a connection whose peer is silent", func(*probe, driver.Conn) {}}}
	if _, ok := conn.(driver.Pinger); ok {
		endings = append(endings, ending{"a connection whose Ping got no answer", pingUnanswered})
	}
	if !p.canExchange(conn) {
		return endings
	}
	if _, ok := conn.(driver.Binder); ok {
		endings = append(endings, ending{"a connection whose request was cut short by Bind", cutShort})
	}
	return append(endings, ending{"a connection in use", func(p *probe, conn driver.Conn) { p.blockedExchange(conn) }})
}

func pingUnanswered(p *probe, conn driver.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	_ = p.should(p.pingOf(ctx, conn), pingEnds)
}

func cutShort(p *probe, conn driver.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var unbind func()
	_ = p.should(p.start("Bind", func() error { unbind = conn.(driver.Binder).Bind(ctx); return nil }), localCalls)
	blocked := p.blockedExchange(conn)
	cancel()
	_ = p.should(blocked, bindEnds)
	p.must(p.start("unbind", func() error { unbind(); return nil }))
}

// closeChecks closes connections one by one and checks that the server sees it.
type closeChecks struct {
	*probe
	conns []driver.Conn
	open  int // how many connections the server should see: conns and one more
}

// check fails the rule if the server still sees a connection after its Close.
func (g *closeChecks) check(e ending) {
	g.Helper()
	for range tries {
		conn := g.conns[0]
		g.conns, g.open = g.conns[1:], g.open-1
		e.last(g.probe, conn)
		g.close(conn)
		if g.seesOpen(atOnce) {
			return
		}
		if !g.seesOpen(limit) {
			g.failf("Close of %s returned, but the server still saw the connection %v later", e.of, limit)
		}
	}
	g.failf("Close of %s returned, but the server saw the connection for at least another %v, %d times out of %d", e.of, atOnce, tries, tries)
}

// seesOpen reports whether, within d, the server sees exactly the connections that
// should be open.
func (g *closeChecks) seesOpen(d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return g.Server.AwaitOpen(ctx, g.open) == nil
}
