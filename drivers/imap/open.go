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

// opener makes connections according to a checked Config.
type opener struct {
	Config
	secure *tls.Client // nil: no TLS
	trust  trust
}

// open makes a connection, if trust admits it.
func (o *opener) open(ctx context.Context) (c *Conn, err error) {
	doubted, err := o.trust.admit()
	if err != nil {
		return nil, err
	}
	err = errors.New("imap: the Credentials function panicked") // for classify
	defer func() { err = o.trust.classify(doubted != nil, err) }()
	return o.connect(ctx, !errors.As(doubted, new(refusal)))
}

// connect makes a connection. If the server refuses credentials that come from
// a function, connect asks for fresh ones, once. It does so only if mayRefresh is set:
// in the probe after a refusal, the attempt before it has asked.
func (o *opener) connect(ctx context.Context, mayRefresh bool) (*Conn, error) {
	creds, err := o.credentials(ctx, nil)
	if err != nil {
		return nil, err
	}
	c, err := o.tryAddresses(ctx, creds)
	var refused refusal
	if o.Credentials == nil || !mayRefresh || !errors.As(err, &refused) {
		return c, err
	}
	fresh, errFresh := o.credentials(ctx, err)
	if errFresh != nil {
		err = fmt.Errorf("%w; fresh credentials were needed because of: %v", errFresh, err) // %v: it is not a refusal now
		if driver.IsPermanent(err) {
			return nil, err
		}
		return nil, driver.Throttled(err, defaultPause) // otherwise the old ones would be sent again and again
	}
	if fresh.User == creds.User && fresh.Password == creds.Password && fresh.Token == creds.Token {
		return nil, err
	}
	return o.tryAddresses(ctx, fresh)
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

// tryAddresses tries the addresses in turn, until a server accepts the login, or
// refuses for a reason that the others share.
func (o *opener) tryAddresses(ctx context.Context, creds Credentials) (*Conn, error) {
	addresses, err := o.addresses(ctx)
	if err != nil {
		return nil, err
	}
	for i, address := range addresses {
		c, errOne := o.tryAddress(ctx, len(addresses)-i, address, creds)
		if errOne == nil {
			return c, nil
		}
		err = errOne
		var answer *imap.Error
		lasting := driver.IsPermanent(errOne) || errors.As(errOne, new(refusal)) || errors.As(errOne, new(doubtful))
		if ctx.Err() != nil || lasting && errors.As(errOne, &answer) {
			break // the others would answer the same
		}
	}
	return nil, err
}

// tryAddress is dialAndLogin with 1/n of the time left, because n addresses remain.
func (o *opener) tryAddress(ctx context.Context, n int, address string, creds Credentials) (*Conn, error) {
	if end, ok := ctx.Deadline(); ok && n > 1 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
		defer cancel()
	}
	return o.dialAndLogin(ctx, address, creds)
}

// dialAndLogin connects to address and logs in.
func (o *opener) dialAndLogin(ctx context.Context, address string, creds Credentials) (*Conn, error) {
	nc, greeting, err := o.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := newConn(nc.Conn, address, greeting, home{selection{o.Mailbox, o.ReadOnly}, o.Reset}, o.Trace)
	c.expiry, c.margin = creds.Expiry, min(expiryMargin, time.Until(creds.Expiry)/2)
	unbind := c.Bind(ctx)
	err = o.prepare(c, address, creds)
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

// dial connects to address and begins TLS. If that took the server's greeting, greeting
// is a substitute for it; otherwise it is empty.
func (o *opener) dial(ctx context.Context, address string) (nc *tcp.Conn, greeting string, err error) {
	below := o.TCP
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

// prepare prepares c for its first lease: it reads the greeting, logs in and applies
// the settings. c must be bound to a context.
func (o *opener) prepare(c *Conn, address string, creds Credentials) error {
	if err := waitGreeting(c.client); err != nil {
		return notIMAP(c.wire, c.explain("greeting", err))
	}
	private := o.secure != nil || o.TCP.Proxy == "" && isLocal(address)
	if c.client.State() == imap.ConnStateAuthenticated {
		if !private && !o.InsecureAuth {
			return doubtful{errPlainPreauth}
		}
		c.mechanism = "PREAUTH"
	} else if err := o.login(c, address, creds, private || o.InsecureAuth); err != nil {
		return err
	}
	c.wire.loggedIn.Store(true)
	return o.configure(c)
}

var errPlainPreauth = errors.New("imap: the server skipped the login (PREAUTH) over plain text; it may belong to an attacker")

// waitGreeting returns nil if the server has greeted, even if the connection has ended
// since then: WaitGreeting itself would return nil or an error at random.
func waitGreeting(client *imapclient.Client) (err error) {
	for range 20 {
		if err = client.WaitGreeting(); err == nil || errors.As(err, new(*imap.Error)) {
			break
		}
	}
	return err
}

// login authenticates c. Afterwards c has the capabilities that the server offers after
// a login.
func (o *opener) login(c *Conn, address string, creds Credentials, mayReveal bool) error {
	before := c.Caps()
	if before == nil {
		return c.explain("CAPABILITY", errNoCaps)
	}
	m, err := o.choose(before, creds, mayReveal)
	if err != nil {
		return doubtful{err}
	}
	c.mechanism = m.name
	c.wire.login.Store(&creds)
	if err := m.login(c.client, o, address, creds); err != nil { // wire.login stays set, for late answers
		explained := c.explain("login by "+m.name, err)
		if !errors.As(err, new(*imap.Error)) {
			return explained // there was no answer
		}
		return o.withAlternatives(refused(explained), m, before, creds, mayReveal)
	}
	c.wire.login.Store(nil)
	if sameSet(before, c.Caps()) { // the answer had no new ones
		if _, err := c.Capability().Wait(); err != nil {
			return err
		}
	}
	return nil
}

// errNoCaps means that the CAPABILITY command that go-imap sends on its own has failed.
var errNoCaps = errors.New("the server did not report its capabilities")

// sameSet reports whether a and b are the same map. go-imap makes a new map from each
// list.
func sameSet(a, b imap.CapSet) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// configure sends the ID, ENABLE and SELECT of the Config, pipelined.
func (o *opener) configure(c *Conn) error {
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
			return err // any other error of ID does no harm
		}
	}
	if enabled != nil {
		if _, err := enabled.Wait(); isNo(err) {
			return doubtful{err}
		} else if err != nil {
			return err
		}
	}
	if selected != nil {
		if _, err := selected.Wait(); isNo(err) {
			return doubtful{noSuchMailbox(o.Mailbox, err)}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// temporaryCodes are the codes of answers that may soon change.
var temporaryCodes = []imap.ResponseCode{imap.ResponseCodeInUse, imap.ResponseCodeUnavailable, imap.ResponseCodeServerBug}

// noSuchMailbox adds the name of the mailbox to err.
func noSuchMailbox(mailbox string, err error) error {
	return fmt.Errorf("imap: mailbox %q: %w", mailbox, err)
}

// isNo reports whether err is an answer that a healthy server would give again.
func isNo(err error) bool {
	var answer *imap.Error
	return errors.As(err, &answer) && answer.Type != imap.StatusResponseTypeBye && !isThrottled(err) && !slices.Contains(temporaryCodes, answer.Code)
}

func isThrottled(err error) bool {
	_, ok := driver.RetryAfter(err)
	return ok
}

// notIMAP makes err doubtful if the server did not begin with an IMAP greeting.
func notIMAP(w *wire, err error) error {
	line := w.first()
	if line == "" || line[0] == '*' {
		return err
	}
	return doubtful{fmt.Errorf("imap: the server does not speak IMAP on this port; it begins with %q: %w", line, err)}
}

// isLocal reports whether address is on this machine, judging only by its text.
func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // the path of a unix socket
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
