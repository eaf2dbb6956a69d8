// Package tcp is the driver for plain TCP and unix sockets, and the base of
// drivers for protocols on them. Importing it registers "tcp" and "unix".
//
//	import (
//		"github.com/hotline-go/hotline/pool"
//		_ "github.com/hotline-go/hotline/drivers/tcp"
//	)
//
//	p, err := pool.Open[net.Conn]("tcp", "tcp://127.0.0.1:2485?ping=PING%0A&pong=PONG%0A", pool.Config{})
//
// The connections are of type [*Conn]: each is a net.Conn.
//
// # DSN
//
//	tcp://host:port?name=value&name=value
//	unix:///path/of/socket?name=value&name=value
//	unix:///@name?name=value&name=value
//
// Unknown parameters are errors. Durations are Go durations, such as 1m30s. Any
// byte may be percent-encoded; control characters must be.
//
//	name                type      default  meaning
//	proxy               URL       none     socks5://[user:password@]host:port or http://[user:password@]host:port
//	local_addr          IP        any      address to connect from
//	fallback_delay      duration  300ms    head start of the preferred IP family over the other; if negative, addresses are tried one at a time
//	nodelay             bool      true     send small writes at once (TCP_NODELAY)
//	keepalive_idle      duration  15s      silence before the first probe of the socket; if negative, there are no probes
//	keepalive_interval  duration  15s      time between probes
//	keepalive_count     int       9        number of unanswered probes that ends the connection
//	user_timeout        duration  system   how long sent bytes may stay unacknowledged; Linux only
//	ping                bytes     none     bytes that Ping sends
//	pong                bytes     none     answer that Ping expects
//	connect_ping        bool      true     whether Connect pings too, if ping and pong are set
//
// Percent-encode the user and password of a proxy as in any URL, and then once
// more because they are inside a parameter: %40 becomes %2540. The user of an HTTP
// proxy can't contain a colon. For a unix socket the only parameters are ping, pong
// and connect_ping.
//
// A name that begins with @ is an abstract socket, which has no file and exists
// only on Linux. For a file in the root directory whose name begins with @, write
// unix:////@name. If a path is longer than the system allows, 107 bytes on Linux,
// NewConnector fails.
//
// There is no parameter for a connect timeout: use pool.Config.ConnectTimeout. The
// context of Connect limits name lookup, dial, proxy, handshake and ping together.
//
// Settings that don't fit in a string are fields of [Config]. [ParseDSN] turns
// a DSN into a Config, and [NewConnector] turns that into a connector.
//
// # A server that is not there
//
// A load balancer or proxy accepts connections even without a server behind it, so
// an open connection proves nothing. So if ping and pong or Config.Ping are set,
// Connect pings after the handshake, and fails if there is no answer. This costs
// a round trip per connect. If the Handshake already gets an answer from the
// server, turn this ping off with connect_ping=false or Config.SkipConnectPing.
//
// # A dead peer
//
// [Conn.Ping] always notices that a connection was closed or reset. There are three
// ways to notice that a peer vanished silently. Each is set per connection, not for
// the whole machine:
//
//   - ping and pong ask the server itself, so they also detect a process that hangs;
//   - the keepalive of the socket asks the server's system, and gives up after
//     keepalive_idle + keepalive_count × keepalive_interval of silence;
//   - sent bytes that stay unacknowledged end the connection after user_timeout.
//
// Unless pool.Config.KeepAlive is set, a pool pings each idle connection every 30
// seconds, or every 10 seconds if Ping only checks the socket.
//
// # Errors
//
// An error of Connect names the address and wraps the cause. A server that is down
// may come back, so few errors are permanent:
//
//	failure                    permanent
//	no such host               Never. A VPN that is down looks the same.
//	a proxy can't connect, or  Never. It may be restarting.
//	does not speak HTTP or
//	SOCKS
//	a proxy refuses the user,  At once if it has never let this connector through.
//	the password, or the       Otherwise the error is driver.Throttled for 10 seconds, so
//	login method               that no account is locked, and then permanent if the proxy
//	                           still refuses.
//	a Handshake fails          If its error is permanent. It may also be driver.Full.
//
// No error shows the password of a proxy. Text from a peer is quoted and cut off
// (see driver.Quote), and hidden if it repeats the credentials for a proxy or the
// bytes of a ping.
package tcp
