package imap

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

func init() {
	driver.RegisterFunc("imap", openDSN)
	driver.RegisterFunc("imaps", openDSN)
}

// openDSN returns a connector for the DSN s.
func openDSN(s string) (driver.Connector, error) {
	c, err := ParseDSN(s)
	if err != nil {
		return nil, err
	}
	return NewConnector(c)
}

// NewConnector returns a connector for c, which it copies. It reads the TLS files but
// does not dial. Its error reports all faults of c together. The connections are of
// type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	err := c.check()
	var secure *tls.Client
	if c.Encryption != None {
		var errTLS error
		host, _, _ := net.SplitHostPort(c.TCP.Address) // drivers/tcp reports a fault in it
		secure, errTLS = tls.NewClient(c.TLS, host)
		err = errors.Join(err, errTLS)
	}
	if _, errTCP := tcp.NewConnector(c.TCP); errTCP != nil {
		err = errors.Join(err, errTCP)
	}
	if err != nil {
		return nil, err
	}
	c.Enable = slices.Clone(c.Enable)
	id := imap.IDData{Name: "hotline"}
	if c.ID != nil {
		id = *c.ID
	}
	c.ID = &id
	o := &opener{Config: c, secure: secure}
	return &connector{advice: c.advice(), open: o.open}, nil
}

// Values that suit most providers. The lowest known limit is 5 connections per account,
// and the owner may also have a phone. Routers drop idle connections after 5 minutes,
// providers after 10; the standard allows it after 30. A provider that throttles may
// take 6 seconds to answer a NOOP.
const (
	maxOpen        = 4
	maxConnecting  = 2                // limits the attempts with a wrong password before the first answer
	connectTimeout = 30 * time.Second // Dovecot waits up to 15 after wrong passwords from the same address
	keepAlive      = 4 * time.Minute
	pingTimeout    = 15 * time.Second
	maxIdleTime    = 10 * time.Minute
	maxLifetime    = 4 * time.Hour
	tokenLifetime  = 25 * time.Minute // for connections whose token may expire without notice
)

func (c *Config) advice() driver.Advice {
	a := driver.Advice{
		Name: c.String(), MaxOpen: maxOpen, MaxConnecting: maxConnecting, ConnectTimeout: connectTimeout, KeepAlive: keepAlive,
		PingTimeout: pingTimeout, MaxIdleTime: maxIdleTime, MaxLifetime: maxLifetime, Conn: (*Conn)(nil),
	}
	if c.Credentials != nil || c.Auth == "OAUTHBEARER" || c.Auth == "XOAUTH2" {
		a.MaxLifetime = tokenLifetime
	}
	return a
}

// connector keeps the Config in a closure, where %+v can't print the password.
type connector struct {
	advice driver.Advice
	open   func(context.Context) (*Conn, error)
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.open(ctx)
	if err != nil {
		return nil, driver.QuoteError(err)
	}
	return conn, nil
}

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }
