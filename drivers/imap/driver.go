package imap

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

func init() {
	driver.Register("imap", imapDriver{})
	driver.Register("imaps", imapDriver{})
}

// imapDriver serves both names; the scheme of the DSN tells what is meant.
type imapDriver struct{}

// OpenConnector implements driver.DriverContext.
func (imapDriver) OpenConnector(s string) (driver.Connector, error) {
	c, err := ParseDSN(s)
	if err != nil {
		return nil, err
	}
	return NewConnector(c)
}

// Open implements driver.Driver, without a bound in time.
func (d imapDriver) Open(s string) (driver.Conn, error) {
	c, err := d.OpenConnector(s)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// NewConnector returns a connector for c, which it copies. It does not dial,
// but reads the files of TLS. All faults of c are reported together. The
// connections are of type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	err := c.check()
	var secure *tls.Client
	if c.Encryption != None {
		var errTLS error
		secure, errTLS = tls.NewClient(c.Config)
		err = errors.Join(err, errTLS)
	}
	if _, errTCP := tcp.NewConnector(c.Config.Config); errTCP != nil {
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

// What suits most providers. The smallest limit known is 5 connections for an
// account, whose owner has a phone besides. Idle connections are cut by
// routers after 5 minutes, by providers after 10, by the standard after 30. A
// provider that throttles answers a NOOP after 6 seconds.
const (
	maxOpen        = 4
	maxConnecting  = 2                // so that a wrong password is not tried four times before the first answer
	connectTimeout = 30 * time.Second // Dovecot lets one wait 15 after wrong passwords from the same address
	keepAlive      = 4 * time.Minute
	pingTimeout    = 15 * time.Second
	maxIdleTime    = 10 * time.Minute
	maxLifetime    = 4 * time.Hour
	tokenLifetime  = 25 * time.Minute // of connections whose token may end without notice
)

func (c *Config) advice() driver.Advice {
	a := driver.Advice{
		Name: c.String(), MaxOpen: maxOpen, MaxConnecting: maxConnecting, ConnectTimeout: connectTimeout, KeepAlive: keepAlive,
		PingTimeout: pingTimeout, MaxIdleTime: maxIdleTime, MaxLifetime: maxLifetime,
	}
	if c.Credentials != nil || c.Auth == "OAUTHBEARER" || c.Auth == "XOAUTH2" {
		a.MaxLifetime = tokenLifetime
	}
	return a
}

// connector has the Config inside open, where no %+v reaches the password.
type connector struct {
	advice driver.Advice
	open   func(context.Context) (*Conn, error)
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return imapDriver{} }

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }
