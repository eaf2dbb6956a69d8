package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/tcp"
)

func init() { driver.RegisterFunc("tls", openDSN) }

// openDSN returns a connector for the DSN s.
func openDSN(s string) (driver.Connector, error) {
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

// NewConnector returns a connector for c, which it copies. It reads the files but
// does not dial. Its error reports all faults of c together. The connections are of
// type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	below := c.TCP
	host, _, _ := net.SplitHostPort(below.Address) // drivers/tcp reports a fault in it
	client, err := NewClient(c.TLS, host)
	login := below.Handshake
	below.Handshake = func(ctx context.Context, nc net.Conn) (net.Conn, error) {
		secure, err := client.Handshake(ctx, nc)
		if err == nil && login != nil {
			return login(ctx, secure)
		}
		return secure, err
	}
	inner, errTCP := tcp.NewConnector(below)
	if err := errors.Join(c.checkNetwork(), err, errTCP); err != nil {
		return nil, err
	}
	advice := inner.(driver.Advisor).Advice()
	advice.Name, advice.Conn = c.String(), (*Conn)(nil)
	return &connector{inner, advice}, nil
}

// connector wraps the connections of inner.
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

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }

// Conn is a connection of this driver. It is a net.Conn, with the methods of
// conn.Conn and the Ping of drivers/tcp. Close says goodbye to the server
// (close_notify) and takes at most a second.
type Conn struct{ *tcp.Conn }

// ConnectionState returns the result of the handshake: the version, the cipher,
// whether a session was resumed, and the server's certificates.
func (c *Conn) ConnectionState() tls.ConnectionState {
	nc := c.NetConn()
	for {
		switch t := nc.(type) {
		case interface{ ConnectionState() tls.ConnectionState }:
			return t.ConnectionState()
		case interface{ NetConn() net.Conn }:
			nc = t.NetConn() // unwraps a connection of Config.TCP.Handshake
		default:
			return tls.ConnectionState{}
		}
	}
}

// Expiry returns the time at which the first of the server's certificates expires.
func (c *Conn) Expiry() (first time.Time) {
	for _, cert := range c.ConnectionState().PeerCertificates {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}
