package tcp_test

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/tcp"
)

func TestParseDSN(t *testing.T) {
	for _, tc := range []struct {
		dsn  string
		want tcp.Config
	}{
		{"tcp://127.0.0.1:2485", tcp.Config{Network: "tcp", Address: "127.0.0.1:2485"}},
		{"tcp://[::1]:80/", tcp.Config{Network: "tcp", Address: "[::1]:80"}},
		{"unix:///run/a%20b.sock?ping=a&pong=b", tcp.Config{Network: "unix", Address: "/run/a b.sock", PingBytes: "a", PongBytes: "b"}},
		{"unix:///@name", tcp.Config{Network: "unix", Address: "@name"}},
		{"unix:///%40na%20me?ping=a&pong=b", tcp.Config{Network: "unix", Address: "@na me", PingBytes: "a", PongBytes: "b"}},
		{"unix:////@name", tcp.Config{Network: "unix", Address: "//@name"}},
		{"tcp://h:1?nodelay=true&keepalive_idle=0s", tcp.Config{Network: "tcp", Address: "h:1"}},
		{
			"tcp://h:1?proxy=socks5://u:p%2540@p:1080&local_addr=127.0.0.1&fallback_delay=-1s&nodelay=false&keepalive_idle=20s" +
				"&keepalive_interval=5s&keepalive_count=3&ping=PING%0A%00&pong=PONG%ff&connect_ping=false",
			tcp.Config{
				Network: "tcp", Address: "h:1", Proxy: "socks5://u:p%40@p:1080", LocalAddr: "127.0.0.1", FallbackDelay: -time.Second,
				Delay: true, KeepAliveIdle: 20 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3,
				PingBytes: "PING\n\x00", PongBytes: "PONG\xff", SkipConnectPing: true,
			},
		},
	} {
		t.Run(tc.dsn, func(t *testing.T) {
			config, err := tcp.ParseDSN(tc.dsn)
			require.NoError(t, err)
			assert.Equal(t, tc.want, config)
		})
	}
}

func TestParseDSNNamesTheFault(t *testing.T) {
	for _, tc := range []struct{ name, dsn, want string }{
		{"not a URL", "127.0.0.1:2485", "dsn: no scheme; want a URL such as tcp://host:port"},
		{"another scheme", "http://h:1", `tcp: network "http": want tcp or unix`},
		{"no port", "tcp://h", `tcp: address "h": want host:port with a port from 1 to 65535`},
		{"no host", "tcp://:80", `tcp: address ":80": want host:port with a port from 1 to 65535`},
		{"a path", "tcp://h:1/INBOX", "tcp: path: want none"},
		{"a user", "tcp://hunter2@h:1", "tcp: user and password: want none; log in with Config.Handshake"},
		{"a password", "tcp://u:hunter2@h:1", "tcp: user and password: want none; log in with Config.Handshake"},
		{"two slashes for unix", "unix://run/s", "tcp: address: want three slashes, as in unix:///run/server.sock"},
		{"unix without a path", "unix://", "tcp: address: want the path of a socket, as in unix:///run/server.sock"},
		{"a NUL in a path", "unix:///a.sock%00/evil", "tcp: address: want a path without a NUL, which would end it"},
		{"an @ behind a host", "unix://h/@name", "dsn: path: unexpected @ after the host; percent-encode it as %40; in user and password, percent-encode everything except letters and digits"},
		{"a password in the name of a parameter", "tcp://h:1?proxy=http://u:pass&swordfish&nodelay=true",
			"dsn: unknown parameter, not shown because it may be part of a password that is not percent-encoded; valid parameters: proxy, local_addr, " +
				"fallback_delay, nodelay, keepalive_idle, keepalive_interval, keepalive_count, user_timeout, ping, pong, connect_ping (parameters of a pool begin with pool_)\n" +
				"tcp: proxy: want socks5://[user:password@]host:port or http://[user:password@]host:port " +
				"(dsn: port: want a number from 1 to 65535; in user and password, percent-encode everything except letters and digits)"},
		{"a typo", "tcp://h:1?no_delay=1", "dsn: unknown parameter no_delay; the nearest known one is nodelay"},
		{"not a bool", "tcp://h:1?nodelay=maybe", `dsn: parameter nodelay="maybe": want true or false`},
		{"no unit", "tcp://h:1?keepalive_idle=30", `dsn: parameter keepalive_idle="30": want a Go duration, such as 30s or 4m`},
		{"not a number", "tcp://h:1?keepalive_count=x", `dsn: parameter keepalive_count="x": want a whole number`},
		{"out of range", "tcp://h:1?keepalive_count=128", `tcp: keepalive_count 128: want 1 to 127, or 0 for 9`},
		{"a setting that unix lacks", "unix:///s?nodelay=false", "tcp: nodelay: want none with a unix socket or a Dial function"},
		{"a proxy's password unescaped", "tcp://h:1?proxy=http://u:hunter2/x@p:1",
			"tcp: proxy: want socks5://[user:password@]host:port or http://[user:password@]host:port " +
				"(dsn: port: want a number from 1 to 65535; in user and password, percent-encode everything except letters and digits)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tcp.ParseDSN(tc.dsn)
			require.EqualError(t, err, tc.want)
			_, fromRegistry := driver.OpenConnector("tcp", tc.dsn)
			assert.EqualError(t, fromRegistry, tc.want)
		})
	}
}

func TestParseDSNReportsAllFaultsTogether(t *testing.T) {
	_, err := tcp.ParseDSN("tcp://u@h/x?nodelay=x&pnig=x&pong=x&keepalive_count=-1")
	require.EqualError(t, err, `tcp: path: want none
tcp: user and password: want none; log in with Config.Handshake
dsn: parameter nodelay="x": want true or false
dsn: unknown parameter pnig; the nearest known one is ping
tcp: address "h": want host:port with a port from 1 to 65535
tcp: keepalive_count -1: want 1 to 127, or 0 for 9
tcp: ping, pong: want both or neither; without an answer a ping proves nothing`)
}

// Users rely on the table in the package documentation.
func TestThePackageDocumentsEachParameter(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	require.NoError(t, err)
	_, table, ok := strings.Cut(file.Doc.Text(), "\tname                type      default  meaning\n")
	require.True(t, ok, "the table's head")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for line := range strings.Lines(table) {
		columns := strings.Fields(line)
		require.Greater(t, len(columns), 3, line)
		documented = append(documented, columns[0])
	}
	var config tcp.Config
	var params dsn.Params
	params.Struct(&config)
	assert.Equal(t, params.Names(), documented)
}

func FuzzOpenConnector(f *testing.F) {
	f.Add("tcp://", "127.0.0.1:2485?ping=PING%0A&pong=PONG%0A", "")
	f.Add("tcp://u:", "@h:1", "keepalive_idle=1s&user_timeout=1s")
	f.Add("unix://", "/run/s", "proxy=socks5://u:p@h:1")
	f.Add("tcp://h:1?proxy=http://u:", "@p:1", "x=%zz")
	f.Fuzz(func(t *testing.T, before, after, query string) {
		const secret = "hunter2"
		if strings.Contains(after+query, secret) {
			t.Skip("other parts of the DSN contain the secret's text")
		}
		text := "tcp://h:1?proxy=http://u:" + secret + after + "&" + query
		if _, err := driver.OpenConnector("tcp", text); err != nil {
			require.NotContains(t, err.Error(), secret)
		}
		text = before + after + "?" + query
		connector, err := driver.OpenConnector("tcp", text)
		if err != nil {
			require.Nil(t, connector)
			return
		}
		config, err := tcp.ParseDSN(text)
		require.NoError(t, err)
		require.Equal(t, config.String(), connector.(driver.Advisor).Advice().Name)
	})
}
