package drivertest

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/hotline-go/hotline/driver"
)

func secretsStaySecret(p *probe) {
	if len(p.Secrets) == 0 {
		p.Skip("the Subject has no Secrets")
	}
	p.secretPrinted("the connector", p.Connector, "; give it a Format method that shows no secret, or String and GoString")
	p.refuseBadDSN()
	if a, ok := p.Connector.(driver.Advisor); ok {
		p.secretIn("Advice().Name", a.Advice().Name)
	}
	conn := p.connect()
	if s, ok := conn.(fmt.Stringer); ok {
		p.secretIn("String of the connection", s.String())
	}
	if p.canExchange(conn) {
		p.Server.Hangup()
		p.secretInError(p.startExchange(conn))
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, c := p.startConnect(ended)
	p.secretInError(c)
	p.Server.Silence()
	halfway, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	_, c = p.startConnect(halfway)
	p.secretInError(c)
	p.Server.Refuse()
	_, c = p.startConnect(context.Background())
	p.secretInError(c)
}

// refuseBadDSN checks the error of BadDSN.
func (p *probe) refuseBadDSN() {
	p.Helper()
	if p.BadDSN == nil {
		return
	}
	err := p.must(p.start("BadDSN", p.BadDSN))
	if err == nil {
		p.failf("BadDSN = nil, want an error about the DSN")
	}
	p.secretPrinted("the error of BadDSN", err, "; the usual cause is url.Parse, whose error quotes the DSN")
}

func (p *probe) secretInError(c *call) {
	p.Helper()
	if err := p.should(c, connectEnds); err != nil {
		p.secretPrinted("the error of "+c.what, err, "")
	}
}

// secretPrinted fails the rule if fmt shows a secret when it prints v. remedy ends
// the message.
func (p *probe) secretPrinted(where string, v any, remedy string) {
	p.Helper()
	for i, secret := range p.Secrets {
		var verbs []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if shows(fmt.Sprintf(verb, v), secret) {
				verbs = append(verbs, verb)
			}
		}
		if len(verbs) > 0 {
			p.failf("%s shows Secrets[%d] when printed with %s%s", where, i, strings.Join(verbs, ", "), remedy)
		}
	}
}

// secretIn fails the rule if text shows a secret.
func (p *probe) secretIn(where, text string) {
	p.Helper()
	for i, secret := range p.Secrets {
		if shows(text, secret) {
			p.failf("%s shows Secrets[%d]", where, i)
		}
	}
}

// shows reports whether text contains secret, as it is or escaped for a URL.
func shows(text, secret string) bool {
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}
