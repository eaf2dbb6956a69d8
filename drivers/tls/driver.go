package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/dsn"
)

func init() { driver.Register("tls", tlsDriver{}) }

type tlsDriver struct{}

// OpenConnector implements driver.DriverContext.
func (tlsDriver) OpenConnector(s string) (driver.Connector, error) {
	u, err := dsn.Parse(s)
	if err != nil {
		return nil, err
	}
	var c Config
	errSet := c.set(u)
	connector, err := NewConnector(c)
	if err := errors.Join(errSet, err); err != nil {
		return nil, err
	}
	return connector, nil
}

// Open implements driver.Driver, without a bound in time.
func (d tlsDriver) Open(s string) (driver.Conn, error) {
	c, err := d.OpenConnector(s)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// NewConnector returns a connector for c, which it copies. It does not dial,
// but reads the files. All faults of c are reported together. The connections
// are of type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	client, errTLS := NewClient(c)
	below := c.Config
	login := below.Handshake
	below.Handshake = func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		secure, err := client.Handshake(ctx, nc)
		if err == nil && login != nil {
			return login(ctx, secure)
		}
		return secure, err
	}
	inner, errTCP := tcp.NewConnector(below)
	if err := errors.Join(errTLS, errTCP); err != nil {
		return nil, err
	}
	advice := inner.(driver.Advisor).Advice()
	advice.Name = c.String()
	return &connector{inner, advice}, nil
}

// connector makes the connections of inner ours.
type connector struct {
	inner  driver.Connector
	advice driver.Advice
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	below, err := c.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &Conn{below.(*tcp.Conn)}, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return tlsDriver{} }

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }

// Conn is a connection of this driver. It is a net.Conn, and has the methods
// of conn.Conn and the Ping of drivers/tcp. Close says goodbye to the server
// (close_notify) and takes a second at most.
type Conn struct{ *tcp.Conn }

// ConnectionState tells what was negotiated: the version, the cipher, whether
// a session was resumed, the server's certificates.
func (c *Conn) ConnectionState() tls.ConnectionState {
	nc := c.NetConn()
	for {
		switch t := nc.(type) {
		case interface{ ConnectionState() tls.ConnectionState }:
			return t.ConnectionState()
		case interface{ NetConn() net.Conn }:
			nc = t.NetConn() // what a Handshake has put on top
		default:
			return tls.ConnectionState{}
		}
	}
}

// Expiry is when the first of the server's certificates expires.
func (c *Conn) Expiry() (first time.Time) {
	for _, cert := range c.ConnectionState().PeerCertificates {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}
