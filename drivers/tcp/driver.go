package tcp

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func init() {
	driver.RegisterFunc("tcp", openDSN)
	driver.RegisterFunc("unix", openDSN)
}

// openDSN returns a connector for the DSN s.
func openDSN(s string) (driver.Connector, error) {
	c, err := ParseDSN(s)
	if err != nil {
		return nil, err
	}
	return NewConnector(c)
}

// NewConnector returns a connector for c, which it copies. It does not dial.
// All faults of c are reported together. The connections are of type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	advice := driver.Advice{Name: c.String(), KeepAlive: checkEvery, Conn: (*Conn)(nil)}
	if c.Ping != nil || c.PingBytes != "" {
		advice.KeepAlive = pingEvery
	}
	return &connector{advice: advice, open: newOpener(c).open}, nil
}

// How often a pool should ping an idle connection. Checking the socket costs only
// a system call, and a pool learns early that the server has gone. A message to the
// peer is sent less often, but still well before routers forget an idle connection,
// which takes them 5 minutes or more.
const (
	checkEvery = 10 * time.Second
	pingEvery  = 30 * time.Second
)

// connector keeps the Config in a closure, where %+v can't print the password of
// a proxy.
type connector struct {
	advice driver.Advice
	open   func(context.Context) (*Conn, error)
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.open(ctx)
	if err != nil {
		return nil, driver.QuoteError(err) // the error of a Handshake may have text from the server
	}
	return conn, nil
}

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }
