package drivertest

import (
	"time"

	"github.com/hotline-go/hotline/driver"
)

// nothingIsLeftOver fails only if all attempts fail. A good driver can find an
// answer only after it has arrived, which may be late on a loaded machine, so each
// attempt waits longer than the one before.
func nothingIsLeftOver(p *probe) {
	if p.Leftover == nil {
		p.Skip("the Subject has no Leftover: set it to check for answers that a holder leaves unread")
	}
	var err error
	for pause := time.Duration(0); pause < limit/5; pause = 2*pause + time.Millisecond {
		conn := p.connect()
		p.needExchange(conn)
		if err = p.afterLeftover(conn, pause); err == nil {
			return
		}
		p.close(conn)
	}
	p.failf("the first request after Leftover: %v; IsValid and ResetSession accepted the connection", err)
}

// afterLeftover returns the error of a request by the next holder of conn, or
// nil if a pool would discard conn. The second answer gets the time pause to
// arrive.
func (p *probe) afterLeftover(conn driver.Conn, pause time.Duration) error {
	p.Helper()
	p.leftOver(conn)
	<-time.After(pause)
	if v, ok := conn.(driver.Validator); ok && !p.isValid(v) {
		return nil
	}
	if _, ok := conn.(driver.SessionResetter); ok && p.should(p.startReset(p.Context(), conn), resetEnds) != nil {
		return nil
	}
	return p.must(p.startExchange(conn))
}

// leftOver calls Leftover. If the server supports it, both answers arrive
// together.
func (p *probe) leftOver(conn driver.Conn) {
	p.Helper()
	if s, ok := p.Server.(interface{ gather(on bool) }); ok {
		s.gather(true)
		defer s.gather(false)
	}
	if err := p.must(p.start("Leftover", func() error { return p.Leftover(conn) })); err != nil {
		p.failf("Leftover: %v", err)
	}
}
