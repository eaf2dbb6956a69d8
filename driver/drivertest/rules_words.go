package drivertest

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/hotline-go/hotline/driver"
)

// maxErrorText is the allowed length of an error with text from the peer.
const maxErrorText = 4 << 10

// hostileTexts are the server's words: one colors a terminal, one fills a disk.
var hostileTexts = []string{"\x1b[31mred", strings.Repeat("\x1b[31mred", 1<<17)}

func wordsAreQuoted(p *probe) {
	s, ok := p.Server.(interface{ answerWith(line string) })
	if !ok && p.Refusal == nil {
		p.Skip("the Server was not made by Serve, and the Subject has no Refusal")
	}
	for _, words := range hostileTexts {
		if p.Refusal != nil {
			accept := p.Refusal(words)
			_, c := p.startConnect(context.Background())
			p.wordsInError(c)
			accept()
		}
		if ok {
			conns := [...]driver.Conn{p.connect(), p.connect(), p.connect()}
			s.answerWith(words)
			p.wordsOfExchange(conns[0])
			p.wordsOfPing(conns[1])
			p.wordsOfReset(conns[2])
			conn, c := p.startConnect(context.Background())
			if p.wordsInError(c); c.err == nil {
				p.wordsOfExchange(*conn) // Connect needed no answer
			}
			s.answerWith("")
		}
	}
}

// wordsOfExchange checks the error of a request. It skips connections of package
// adapt, where Exchange gets the error from the client library, not from the driver.
func (p *probe) wordsOfExchange(conn driver.Conn) {
	p.Helper()
	if _, adapted := conn.(driver.Adapter); !adapted && p.canExchange(conn) {
		p.wordsInError(p.startExchange(conn))
	}
}

func (p *probe) wordsOfPing(conn driver.Conn) {
	p.Helper()
	if c, ok := conn.(driver.Pinger); ok {
		p.wordsInError(p.startPing(context.Background(), c))
	}
}

func (p *probe) wordsOfReset(conn driver.Conn) {
	p.Helper()
	if c, ok := conn.(driver.SessionResetter); ok {
		p.wordsInError(p.start("ResetSession", func() error { return c.ResetSession(context.Background()) }))
	}
}

// wordsInError fails the rule if the error of c shows text from the server
// unquoted, or too much of it.
func (p *probe) wordsInError(c *call) {
	p.Helper()
	err := p.should(c, connectEnds)
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v", err, err)
	if strings.ContainsFunc(text, unicode.IsControl) {
		p.failf("the error of %s has control characters from the server: %s", c.what, driver.Quote(text))
	}
	if len(text) > 2*maxErrorText {
		p.failf("the error of %s has %d bytes of text from the server: %s", c.what, len(err.Error()), driver.Quote(text))
	}
}
