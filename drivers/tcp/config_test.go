package tcp_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
)

func noDial(context.Context, string, string) (net.Conn, error) { panic("dialed") }
func noPing(context.Context, net.Conn) error                   { panic("pinged") }
func noHandshake(context.Context, net.Conn) (net.Conn, error)  { panic("shook hands") }
func lines(err error) []string                                 { return strings.Split(err.Error(), "\n") }
func at(address string, change func(c *tcp.Config)) tcp.Config {
	c := tcp.Config{Address: address}
	change(&c)
	return c
}

func TestNewConnectorNamesTheFault(t *testing.T) {
	const local = "127.0.0.1:1"
	for _, tc := range []struct {
		name   string
		config tcp.Config
		want   string
	}{
		{"nothing", tcp.Config{}, `tcp: address "": want host:port with a port from 1 to 65535`},
		{"no port", tcp.Config{Address: "h"}, `tcp: address "h": want host:port`},
		{"no host", tcp.Config{Address: ":80"}, `tcp: address ":80": want host:port`},
		{"port 0", tcp.Config{Address: "h:0"}, `tcp: address "h:0": want host:port`},
		{"a service name", tcp.Config{Address: "h:imap"}, `tcp: address "h:imap": want host:port`},
		{"a line break in the host", tcp.Config{Address: "h\r\nX: y:80"}, `tcp: address "h\r\nX: y:80": want host:port`},
		{"a long host", tcp.Config{Address: strings.Repeat("h", 256) + ":80"}, `: want host:port`},
		{"a path in the host", tcp.Config{Address: "a/b:80"}, `tcp: address "a/b:80": want host:port`},
		{"a user in the host", tcp.Config{Address: "user@host:80"}, `tcp: address "user@host:80": want host:port`},
		{"a colon in the host", tcp.Config{Address: "[a:b]:80"}, `tcp: address "[a:b]:80": want host:port`},
		{"a name with a zone", tcp.Config{Address: "[h%lo]:80"}, `tcp: address "[h%lo]:80": want host:port`},
		{"an odd zone", tcp.Config{Address: "[::1%a/b]:80"}, `tcp: address "[::1%a/b]:80": want host:port`},
		{"a zone behind a proxy", tcp.Config{Address: "[::1%lo]:80", Proxy: "http://h:1"}, `tcp: address "[::1%lo]:80": want no zone with a proxy`},
		{"a proxy's user with a colon", at(local, func(c *tcp.Config) { c.Proxy = "http://a%3Ab:hunter2@h:1" }), `(the user of an HTTP proxy can't contain a colon, which ends it)`},
		{"a NUL in a path", tcp.Config{Network: "unix", Address: "/a.sock\x00/evil"}, `tcp: address: want a path without a NUL`},
		{"a name that begins with @ and is empty", tcp.Config{Network: "unix", Address: "@"}, `tcp: address: want a name after the @`},
		{"an odd network", tcp.Config{Network: "udp", Address: local}, `tcp: network "udp": want tcp or unix`},
		{"unix without a path", tcp.Config{Network: "unix"}, `tcp: address: want the path of a socket`},
		{"a proxy for unix", tcp.Config{Network: "unix", Address: "/s", Proxy: "http://h:1"}, `tcp: proxy: want none with a unix socket`},
		{"a name as local address", at(local, func(c *tcp.Config) { c.LocalAddr = "eth0" }), `tcp: local_addr "eth0": want an IP address`},
		{"a short idle time", at(local, func(c *tcp.Config) { c.KeepAliveIdle = 999 * time.Millisecond }),
			`tcp: keepalive_idle 999ms: want 1s to 9h6m7s, 0 for 15s, or negative for no keepalive`},
		{"a long idle time", at(local, func(c *tcp.Config) { c.KeepAliveIdle = 10 * time.Hour }), `tcp: keepalive_idle 10h0m0s: want 1s to`},
		{"a negative interval", at(local, func(c *tcp.Config) { c.KeepAliveInterval = -1 }),
			`tcp: keepalive_interval -1ns: want 1s to 9h6m7s, or 0 for 15s`},
		{"a negative count", at(local, func(c *tcp.Config) { c.KeepAliveCount = -1 }), `tcp: keepalive_count -1: want 1 to 127, or 0 for 9`},
		{"a high count", at(local, func(c *tcp.Config) { c.KeepAliveCount = 128 }), `tcp: keepalive_count 128: want 1 to 127, or 0 for 9`},
		{"a negative user timeout", at(local, func(c *tcp.Config) { c.UserTimeout = -1 }), `tcp: user_timeout -1ns: want 1ms to 596h`},
		{"a ping without a pong", at(local, func(c *tcp.Config) { c.PingBytes = "PING" }), `tcp: ping, pong: want both or neither`},
		{"a pong without a ping", at(local, func(c *tcp.Config) { c.PongBytes = "PONG" }), `tcp: ping, pong: want both or neither`},
		{"two pings", at(local, func(c *tcp.Config) { c.PingBytes, c.PongBytes, c.Ping = "a", "b", noPing }),
			`tcp: ping: want bytes or a function, not both`},
		{"a proxy of an unknown kind", at(local, func(c *tcp.Config) { c.Proxy = "ftp://h:1" }), `tcp: proxy: want socks5://[user:password@]host:port or`},
		{"a proxy without a port", at(local, func(c *tcp.Config) { c.Proxy = "socks5://h" }), `(host or port is missing)`},
		{"a proxy with a path", at(local, func(c *tcp.Config) { c.Proxy = "http://h:1/x" }), `(want nothing after the port)`},
		{"a proxy with a parameter", at(local, func(c *tcp.Config) { c.Proxy = "http://h:1?x" }), `(want nothing after the port)`},
		{"a proxy's password alone", at(local, func(c *tcp.Config) { c.Proxy = "http://:p@h:1" }), `(there is a password without a user)`},
		{"a proxy's long password", at(local, func(c *tcp.Config) { c.Proxy = "socks5://u:" + strings.Repeat("p", 256) + "@h:1" }), `at most 255 bytes`},
		{"a proxy that is not a URL", at(local, func(c *tcp.Config) { c.Proxy = "h:1" }), `(dsn: no scheme;`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			connector, err := tcp.NewConnector(tc.config)
			require.ErrorContains(t, err, tc.want)
			assert.Len(t, lines(err), 1)
			assert.Nil(t, connector)
		})
	}
}

func TestNewConnectorReportsAllFaultsTogether(t *testing.T) {
	_, err := tcp.NewConnector(tcp.Config{
		Address: "h", Proxy: "x", LocalAddr: "x", KeepAliveIdle: 1, KeepAliveInterval: 1, KeepAliveCount: -1,
		UserTimeout: -1, PingBytes: "x", Ping: noPing,
	})
	for _, name := range []string{
		"address", "proxy", "local_addr", "keepalive_idle", "keepalive_interval", "keepalive_count", "user_timeout", "ping, pong", "ping",
	} {
		assert.ErrorContains(t, err, "tcp: "+name)
	}
}

func TestSocketSettingsAreRefusedWithoutATCPSocket(t *testing.T) {
	settings := tcp.Config{
		Address: "h:1", LocalAddr: "127.0.0.1", FallbackDelay: 1, Delay: true,
		KeepAliveIdle: -1, KeepAliveInterval: time.Second, KeepAliveCount: 1, UserTimeout: time.Second,
	}
	onUnix, ownDial := settings, settings
	onUnix.Network = "unix"
	ownDial.Dial = noDial
	for _, config := range []tcp.Config{onUnix, ownDial} {
		_, err := tcp.NewConnector(config)
		for _, name := range []string{
			"local_addr", "fallback_delay", "nodelay", "keepalive_idle", "keepalive_interval", "keepalive_count", "user_timeout",
		} {
			assert.ErrorContains(t, err, "tcp: "+name+": want none with a unix socket or a Dial function")
		}
	}
}

func TestUserTimeoutIsRefusedIfTheSystemHasNone(t *testing.T) {
	_, err := tcp.NewConnector(tcp.Config{Address: "h:1", UserTimeout: time.Second})
	if runtime.GOOS == "linux" {
		require.NoError(t, err)
	} else {
		require.EqualError(t, err, "tcp: user_timeout: want none; only Linux has it")
	}
}

func TestNewConnectorDoesNotDialAndAdvisesAName(t *testing.T) {
	config := tcp.Config{Address: "h:1", Proxy: "http://u:hunter2@p:1", Dial: noDial, Handshake: noHandshake}
	connector, err := tcp.NewConnector(config)
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tcp h:1", KeepAlive: 10 * time.Second, Conn: (*tcp.Conn)(nil)}, connector.(driver.Advisor).Advice())

	config.Ping = noPing
	connector, err = tcp.NewConnector(config)
	require.NoError(t, err)
	assert.Equal(t, driver.Advice{Name: "tcp h:1", KeepAlive: 30 * time.Second, Conn: (*tcp.Conn)(nil)}, connector.(driver.Advisor).Advice())

	again, err := driver.OpenConnector("unix", "unix:///run/s")
	require.NoError(t, err)
	assert.Equal(t, "unix /run/s", again.(driver.Advisor).Advice().Name)
}

func TestPrintingShowsNoPasswordOfAProxy(t *testing.T) {
	config := tcp.Config{Address: "h:1", Proxy: "http://u:hunter2@p:1"}
	connector, err := tcp.NewConnector(config)
	require.NoError(t, err)
	holder := struct{ c any }{connector}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		assert.Equal(t, "tcp h:1", fmt.Sprintf(verb, config), verb)
		assert.Equal(t, "tcp h:1", fmt.Sprintf(verb, &config), verb)
		assert.NotContains(t, fmt.Sprintf(verb+verb, connector, holder), "hunter2", verb)
	}
}
