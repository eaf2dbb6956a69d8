package tcp

import (
	"context"
	"time"

	"github.com/hotline-go/hotline/driver"
)

func init() {
	driver.Register("tcp", tcpDriver{})
	driver.Register("unix", tcpDriver{})
}

// tcpDriver serves both names; the scheme of the DSN tells what is meant.
type tcpDriver struct{}

// OpenConnector implements driver.DriverContext.
func (tcpDriver) OpenConnector(s string) (driver.Connector, error) {
	c, err := ParseDSN(s)
	if err != nil {
		return nil, err
	}
	return NewConnector(c)
}

// Open implements driver.Driver, without a bound in time.
func (d tcpDriver) Open(s string) (driver.Conn, error) {
	c, err := d.OpenConnector(s)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// NewConnector returns a connector for c, which it copies. It does not dial.
// All faults of c are reported together. The connections are of type [*Conn].
func NewConnector(c Config) (driver.Connector, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	advice := driver.Advice{Name: c.String(), KeepAlive: lookEvery}
	if c.Ping != nil || c.PingBytes != "" {
		advice.KeepAlive = pingEvery
	}
	return &connector{advice: advice, open: newOpener(c).open}, nil
}

// How often an idle connection should be pinged. A look at the socket costs
// a system call and no traffic, and tells a pool early that the server has
// gone. A message to the peer is rarer, but comes well before routers forget
// an idle connection, which they do after 5 minutes or more.
const (
	lookEvery = 10 * time.Second
	pingEvery = 30 * time.Second
)

// connector has the Config inside open, where no %+v reaches the password of
// a proxy.
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
func (c *connector) Driver() driver.Driver { return tcpDriver{} }

// Advice implements driver.Advisor.
func (c *connector) Advice() driver.Advice { return c.advice }
