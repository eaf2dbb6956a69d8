package imap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

// opener makes connections as a checked Config wants them.
type opener struct {
	Config
	secure *tls.Client // nil: no TLS
	trust  trust
}

// open makes a connection.
func (o *opener) open(ctx context.Context) (c *Conn, err error) {
	probe, err := o.trust.admit()
	if err != nil {
		return nil, err
	}
	err = errors.New("imap: the Credentials function has panicked") // for the judge
	defer func() { err = o.trust.judge(probe, err) }()
	return o.openAfresh(ctx, probe)
}

// openAfresh makes a connection. If the server does not take the credentials,
// and there is a source of them, it asks for others once, unless that was done
// before this probe.
func (o *opener) openAfresh(ctx context.Context, probe bool) (*Conn, error) {
	creds, err := o.credentials(ctx, nil)
	if err != nil {
		return nil, err
	}
	c, err := o.openAs(ctx, creds)
	var refused refusal
	if o.Credentials == nil || probe || !errors.As(err, &refused) {
		return c, err
	}
	fresh, errFresh := o.credentials(ctx, err)
	if errFresh != nil {
		err = fmt.Errorf("%w; they are asked for because of: %v", errFresh, err) // which may be no news of the account
		if driver.IsPermanent(err) {
			return nil, err
		}
		return nil, driver.Throttled(err, defaultPause) // or the old ones are sent again and again
	}
	if fresh.User == creds.User && fresh.Password == creds.Password && fresh.Token == creds.Token {
		return nil, err
	}
	return o.openAs(ctx, fresh)
}

func (o *opener) credentials(ctx context.Context, refused error) (Credentials, error) {
	if o.Credentials != nil {
		creds, err := o.Credentials(ctx, refused)
		if err != nil {
			err = fmt.Errorf("imap: credentials for %s: %w", o.Config, err)
		}
		return creds, err
	}
	creds := Credentials{User: o.User, Password: o.Password}
	if o.Auth == "OAUTHBEARER" || o.Auth == "XOAUTH2" {
		creds.Token = o.Password
	}
	return creds, nil
}

// openAs tries the addresses in turn, until one has a server that answers.
func (o *opener) openAs(ctx context.Context, creds Credentials) (*Conn, error) {
	addresses, err := o.addresses(ctx)
	if err != nil {
		return nil, err
	}
	for i, address := range addresses {
		c, errOne := o.openWithin(ctx, len(addresses)-i, address, creds)
		if errOne == nil {
			return c, nil
		}
		err = errOne
		var answer *imap.Error
		if ctx.Err() != nil || errors.As(errOne, &answer) && (errors.As(errOne, new(refusal)) || driver.IsPermanent(errOne)) {
			break // the others would say the same
		}
	}
	return nil, err
}

// openWithin is openAt within an equal share of the time that is left: n
// addresses have to do with it.
func (o *opener) openWithin(ctx context.Context, n int, address string, creds Credentials) (*Conn, error) {
	if end, ok := ctx.Deadline(); ok && n > 1 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
		defer cancel()
	}
	return o.openAt(ctx, address, creds)
}

// openAt connects to address and logs in.
func (o *opener) openAt(ctx context.Context, address string, creds Credentials) (*Conn, error) {
	nc, greeting, err := o.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := newConn(nc.Conn, address, greeting, home{place{o.Mailbox, o.ReadOnly}, o.Reset}, o.Trace)
	c.expiry, c.margin = creds.Expiry, min(expiryMargin, time.Until(creds.Expiry)/2)
	unbind := c.Bind(ctx)
	err = o.greet(c, address, creds)
	unbind()
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	c.startCount()
	return c, nil
}

// dial connects to address and makes the connection secure. greeting is not
// empty if the server's was read on the way.
func (o *opener) dial(ctx context.Context, address string) (nc *tcp.Conn, greeting string, err error) {
	below := o.Config.Config.Config
	below.Address = address
	switch o.Encryption {
	case None:
	case StartTLS:
		greeting = "* OK after STARTTLS\r\n"
		below.Handshake = func(ctx context.Context, nc net.Conn) (net.Conn, error) {
			if err := startTLS(nc); err != nil {
				return nil, err
			}
			return o.secure.Handshake(ctx, nc)
		}
	default:
		below.Handshake = o.secure.Handshake
	}
	connector, err := tcp.NewConnector(below)
	if err != nil {
		return nil, "", err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, "", err
	}
	return c.(*tcp.Conn), greeting, nil
}

// greet does what comes before the first lease. It is bound to a context.
func (o *opener) greet(c *Conn, address string, creds Credentials) error {
	if err := waitGreeting(c.client); err != nil {
		return notIMAP(c.wire, atLogin(c.explain("greeting", err)))
	}
	private := o.secure != nil || o.Proxy == "" && isLocal(address)
	if c.client.State() == imap.ConnStateAuthenticated {
		if !private && !o.InsecureAuth {
			return driver.Permanent(errors.New("imap: the server has logged us in by itself, over plain text: somebody may be in between"))
		}
		c.mechanism = "PREAUTH"
	} else if err := o.login(c, address, creds, private || o.InsecureAuth); err != nil {
		return err
	}
	c.wire.welcome.Store(true)
	return o.settle(c)
}

// waitGreeting returns nil if the server has greeted, also if the connection
// has ended since: WaitGreeting then tells the one or the other, at random.
func waitGreeting(client *imapclient.Client) (err error) {
	for range 20 {
		if err = client.WaitGreeting(); err == nil || errors.As(err, new(*imap.Error)) {
			break
		}
	}
	return err
}

// login authenticates c, and makes sure that its capabilities are those after.
func (o *opener) login(c *Conn, address string, creds Credentials, mayTell bool) error {
	before := c.Caps()
	if before == nil {
		return c.explain("CAPABILITY", errNoCaps)
	}
	m, err := o.choose(before, creds, mayTell)
	if err != nil {
		return driver.Permanent(err)
	}
	c.mechanism = m.name
	c.wire.login.Store(&creds)
	if err := m.login(c.client, o, address, creds); err != nil {
		return atLogin(c.explain("login by "+m.name, err)) // wire.login stays, for what the server says late
	}
	c.wire.login.Store(nil)
	if sameSet(before, c.Caps()) { // the answer did not say
		if _, err := c.Capability().Wait(); err != nil {
			return err
		}
	}
	return nil
}

// errNoCaps is the error of a CAPABILITY command that go-imap has sent.
var errNoCaps = errors.New("the server does not tell its capabilities")

// sameSet reports whether a and b are one and the same map. go-imap makes a
// new one of each list.
func sameSet(a, b imap.CapSet) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// settle sends what the Config wants in each connection, in one go.
func (o *opener) settle(c *Conn) error {
	caps := c.Caps()
	var id *Query[*imap.IDData]
	if caps.Has(imap.CapID) && *o.ID != (imap.IDData{}) {
		id = c.ID(o.ID)
	}
	var enable []imap.Cap
	for _, extension := range o.Enable {
		if caps.Has(extension) {
			enable = append(enable, extension)
		}
	}
	var enabled *Query[*enableData]
	if len(enable) > 0 {
		enabled = query(c, "ENABLE", c.client.Enable(enable...))
	}
	var selected *Query[*imap.SelectData]
	if o.Mailbox != "" {
		selected = c.Select(o.Mailbox, &imap.SelectOptions{ReadOnly: o.ReadOnly})
	}
	if id != nil {
		if _, err := id.Wait(); err != nil && (c.conn.Err() != nil || isThrottled(err)) {
			return err // else: who does not like our name can be used all the same
		}
	}
	if enabled != nil {
		if _, err := enabled.Wait(); err != nil {
			return forGood(err)
		}
	}
	if selected != nil {
		_, err := selected.Wait()
		return noSuchMailbox(o.Mailbox, err)
	}
	return nil
}

// notNow are the codes of answers that may be others soon.
var notNow = []imap.ResponseCode{imap.ResponseCodeInUse, imap.ResponseCodeUnavailable, imap.ResponseCodeServerBug}

// noSuchMailbox makes err permanent if the server said no to the mailbox for
// good.
func noSuchMailbox(mailbox string, err error) error {
	if lasting := forGood(err); driver.IsPermanent(lasting) {
		return fmt.Errorf("imap: mailbox %q: %w", mailbox, lasting)
	}
	return err
}

// forGood makes err permanent if it is an answer that will be the same again.
func forGood(err error) error {
	var answer *imap.Error
	if !errors.As(err, &answer) || driver.IsBad(err) || isThrottled(err) || slices.Contains(notNow, answer.Code) {
		return err
	}
	return driver.Permanent(err)
}

func isThrottled(err error) bool {
	_, ok := driver.RetryAfter(err)
	return ok
}

// notIMAP makes err permanent if the server began with what is no greeting of
// IMAP.
func notIMAP(w *wire, err error) error {
	line := w.first()
	if line == "" || line[0] == '*' {
		return err
	}
	return driver.Permanent(fmt.Errorf("imap: the server does not speak IMAP on this port, it begins with %q: %w", line, err))
}

// isLocal reports whether address is on this machine, as far as its text
// tells. What is connected to may be a proxy.
func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // the path of a unix socket
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
