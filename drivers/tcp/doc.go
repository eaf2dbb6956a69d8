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
//
// An unknown parameter is refused. Durations are Go durations, such as 1m30s.
// Any byte can be percent-encoded, and a control character must be.
//
//	name                type      default  meaning
//	proxy               URL       none     socks5://[user:password@]host:port or http://[user:password@]host:port
//	local_addr          IP        any      address to connect from
//	fallback_delay      duration  300ms    head start of IPv6 over IPv4 or the reverse; negative: one after the other
//	nodelay             bool      true     send small writes at once (TCP_NODELAY)
//	keepalive_idle      duration  15s      silence before the first probe of the socket; negative: no probes
//	keepalive_interval  duration  15s      time between the probes
//	keepalive_count     int       9        unanswered probes after which the connection is given up
//	user_timeout        duration  system   how long sent bytes may stay unacknowledged; Linux only
//	ping                bytes     none     what Ping sends
//	pong                bytes     none     what Ping must get for an answer
//
// User and password of a proxy are percent-encoded as in any URL, and then
// once more because they stand in a parameter: %40 becomes %2540. A unix socket
// has ping and pong only.
//
// There is no parameter for a connect
// timeout, because the context of Connect bounds name look-up, dial, proxy and
// handshake together: pool.Config has ConnectTimeout for it.
//
// What a string can't carry is a field of [Config]; [ParseDSN] makes one of
// a DSN and [NewConnector] a connector of that.
//
// # A dead peer
//
// A connection that was closed or reset is found by [Conn.Ping] in any case.
// For a peer that vanished without a word there are three means, and each of
// them is a setting of the single connection, not of the machine:
//
//   - ping and pong ask the server itself, and so find a process that hangs;
//   - the keepalive of the socket asks the server's system, and gives up after
//     keepalive_idle + keepalive_count × keepalive_interval of silence;
//   - sent bytes that nobody acknowledges end the connection after
//     user_timeout.
//
// Unless its Config has a KeepAlive, a pool pings each idle connection every
// 30 seconds, or every 10 seconds where Ping is but a look at the socket.
//
// # Errors
//
// An error of Connect names the address, and wraps the cause. None is
// permanent, save a proxy that refuses the user and password, or a Handshake
// that says so; a Handshake also says whether the server is full, by
// driver.Full. What is down now may be up later. That goes for "no such host"
// as well. A VPN that is down, or a record that is not yet made, looks just
// like a wrong name.
//
// No error shows the password of a proxy.
package tcp
