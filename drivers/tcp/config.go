package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// Config says where and how to connect. Zero means the default. The tags are the
// names of the DSN parameters; a driver built on this one reads them with
// dsn.Params.Struct.
type Config struct {
	// Network is "tcp" or "unix". Empty means tcp.
	Network string

	// Address is host:port, or the path of a unix socket, or, on Linux, an @
	// and the name of an abstract socket. A host name is resolved at each
	// connect.
	Address string

	// Proxy is socks5://[user:password@]host:port or
	// http://[user:password@]host:port. Empty means none: the environment is not
	// consulted. The proxy resolves a host name in Address.
	Proxy string `dsn:"proxy"` // no error shows it; see checkAddress

	// LocalAddr is the IP address to connect from. Empty means that the system
	// chooses.
	LocalAddr string `dsn:"local_addr"`

	// FallbackDelay is how long to wait for an address of the preferred family
	// before also trying one of the other family (Happy Eyeballs, RFC 6555). Zero
	// means 300 ms. Negative means to try one address after the other.
	FallbackDelay time.Duration `dsn:"fallback_delay"`

	// Delay lets the system combine small writes (Nagle's algorithm). In a DSN
	// it is nodelay=false.
	Delay bool `dsn:"nodelay,not"`

	// KeepAliveIdle, KeepAliveInterval and KeepAliveCount set the keepalive of
	// the socket: how long to wait, with nothing received, before the first
	// probe; the time between probes; and how many unanswered probes end the
	// connection. Zero means 15 s, 15 s and 9. Fractions of a second are rounded
	// up. A negative KeepAliveIdle means no probes.
	KeepAliveIdle     time.Duration `dsn:"keepalive_idle"`
	KeepAliveInterval time.Duration `dsn:"keepalive_interval"`
	KeepAliveCount    int           `dsn:"keepalive_count"`

	// UserTimeout is how long sent bytes may stay unacknowledged before the
	// system ends the connection (TCP_USER_TIMEOUT). Zero means the system's
	// default, about 15 minutes on Linux. Only Linux has this setting.
	UserTimeout time.Duration `dsn:"user_timeout"`

	// PingBytes are the bytes that [Conn.Ping] sends, and PongBytes the answer
	// that it expects. Set both or neither. They may contain any bytes.
	PingBytes string `dsn:"ping"`
	PongBytes string `dsn:"pong"`

	// Ping, if not nil, is called by [Conn.Ping] instead of using PingBytes. The
	// I/O on c obeys ctx. Any error ends the connection.
	Ping func(ctx context.Context, c net.Conn) error

	// SkipConnectPing turns off the ping that Connect makes after the Handshake
	// if PingBytes or Ping is set. In a DSN it is connect_ping=false. Set it only
	// if the Handshake gets an answer from the server, because a load balancer
	// accepts connections even without a server behind it.
	SkipConnectPing bool `dsn:"connect_ping,not"`

	// Handshake, if not nil, prepares a new connection: for example, it reads
	// the greeting, starts TLS and logs in. It returns c, or a connection over
	// c whose Close also closes c. If that connection encodes or buffers the
	// bytes of c, it must have a method NetConn() net.Conn that returns c, as
	// tls.Conn does. If ctx ends or Handshake fails, c is closed. Deadlines are
	// cleared afterward.
	//
	// Connect keeps the class of its error. After one marked by driver.Permanent,
	// a pool does not try again on its own. If the server has no room for another
	// connection, return driver.Full, so that a pool waits for its own
	// connections instead.
	Handshake func(ctx context.Context, c net.Conn) (net.Conn, error)

	// Dial, if not nil, replaces net.Dialer. It gets Network and either Address
	// or the address of the proxy. The socket settings, from LocalAddr to
	// UserTimeout, must then be zero.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// String returns the network and the address. It shows no secret.
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
