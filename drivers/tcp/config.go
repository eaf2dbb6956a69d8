package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// Config says where to connect and how. The fields that a DSN has as well are
// named after its parameters; zero stands for the default.
type Config struct {
	// Network is "tcp" or "unix". Empty means tcp.
	Network string

	// Address is host:port, or the path of a unix socket. A host name is
	// resolved at each connect.
	Address string

	// Proxy is socks5://[user:password@]host:port or
	// http://[user:password@]host:port. Empty means none: no proxy is taken
	// from the environment. The proxy resolves a host name in Address.
	Proxy string

	// LocalAddr is the IP address to connect from. Empty: the system chooses.
	LocalAddr string

	// FallbackDelay is how long an address of the preferred family has before
	// one of the other family is tried beside it (Happy Eyeballs, RFC 6555).
	// Zero means 300 ms. Negative: one address after the other.
	FallbackDelay time.Duration

	// Delay lets the system gather small writes (Nagle's algorithm); a DSN
	// says nodelay=false.
	Delay bool

	// KeepAliveIdle, KeepAliveInterval and KeepAliveCount set the keepalive of
	// the socket: how long nothing must arrive before the first probe, the
	// time between probes, and how many stay unanswered before the system
	// gives the connection up. Zero means 15 s, 15 s and 9. Parts of a second
	// are rounded up. A negative KeepAliveIdle sends no probes.
	KeepAliveIdle     time.Duration
	KeepAliveInterval time.Duration
	KeepAliveCount    int

	// UserTimeout is how long sent bytes may stay unacknowledged before the
	// system gives the connection up (TCP_USER_TIMEOUT). Zero leaves it to the
	// system, on Linux about 15 minutes. Other systems don't have it.
	UserTimeout time.Duration

	// PingBytes are what [Conn.Ping] sends, and PongBytes what it must get for
	// an answer. Both or none are set. They may hold any bytes.
	PingBytes string
	PongBytes string

	// Ping, if not nil, is what [Conn.Ping] does, in the place of PingBytes.
	// The I/O on c obeys ctx. Any error ends the connection.
	Ping func(ctx context.Context, c net.Conn) error

	// Handshake, if not nil, makes a fresh connection ready: it greets, starts
	// TLS, logs in. It returns c, or a connection over c whose Close closes
	// c too; one that encodes or buffers the bytes of c must have a method
	// NetConn() net.Conn that returns c, as a tls.Conn has. When ctx ends or
	// Handshake fails, c is closed; deadlines are cleared behind it.
	//
	// Connect keeps the class of its error. One marked by driver.Permanent
	// keeps a pool from trying again on its own. Where the server says that it
	// has no room for one more connection, return driver.Full: a pool then
	// waits for its own connections instead.
	Handshake func(ctx context.Context, c net.Conn) (net.Conn, error)

	// Dial, if not nil, takes the place of net.Dialer. It is given Network and
	// either Address or the address of the proxy. The settings of the socket,
	// which are LocalAddr to UserTimeout, must then be zero.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// String names network and address, and nothing secret.
func (c Config) String() string {
	return c.network() + " " + c.Address
}

// Format prints String for every verb, because Proxy may hold a password.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

func (c *Config) network() string {
	if c.Network == "" {
		return "tcp"
	}
	return c.Network
}
