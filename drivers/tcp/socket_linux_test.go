package tcp_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
)

// The kernel reports the options of the sockets that the parameters make.
func TestParametersReachTheSocket(t *testing.T) {
	const userTimeout = 18
	address := serve(t, "tcp", echo)
	type options struct{ nodelay, keepalive, idle, interval, count, userTimeout int }
	for _, tc := range []struct {
		query string
		want  options
	}{
		{"", options{nodelay: 1, keepalive: 1, idle: 15, interval: 15, count: 9}},
		{"nodelay=false", options{nodelay: 0, keepalive: 1, idle: 15, interval: 15, count: 9}},
		{"keepalive_idle=20s", options{nodelay: 1, keepalive: 1, idle: 20, interval: 15, count: 9}},
		{"keepalive_interval=2500ms", options{nodelay: 1, keepalive: 1, idle: 15, interval: 3, count: 9}},
		{"keepalive_count=3", options{nodelay: 1, keepalive: 1, idle: 15, interval: 15, count: 3}},
		{"keepalive_idle=32767s&keepalive_interval=32767s&keepalive_count=127",
			options{nodelay: 1, keepalive: 1, idle: 32767, interval: 32767, count: 127}},
		{"user_timeout=1500ms", options{nodelay: 1, keepalive: 1, idle: 15, interval: 15, count: 9, userTimeout: 1500}},
		{"user_timeout=596h31m23.647s", options{nodelay: 1, keepalive: 1, idle: 15, interval: 15, count: 9, userTimeout: 1<<31 - 1}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			assert.Equal(t, tc.want, options{
				nodelay:     socketOption(t, address, tc.query, syscall.IPPROTO_TCP, syscall.TCP_NODELAY),
				keepalive:   socketOption(t, address, tc.query, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE),
				idle:        socketOption(t, address, tc.query, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE),
				interval:    socketOption(t, address, tc.query, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL),
				count:       socketOption(t, address, tc.query, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT),
				userTimeout: socketOption(t, address, tc.query, syscall.IPPROTO_TCP, userTimeout),
			})
		})
	}
	t.Run("no keepalive", func(t *testing.T) {
		assert.Zero(t, socketOption(t, address, "keepalive_idle=-1s", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE))
	})
}

func socketOption(t *testing.T, address, query string, level, option int) (value int) {
	t.Helper()
	connector, err := driver.OpenConnector("tcp", "tcp://"+address+"?"+query)
	require.NoError(t, err)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	raw, err := c.NetConn().(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, option) }))
	require.NoError(t, err)
	return value
}

func TestAnAbstractUnixSocketIsANameOfConfig(t *testing.T) {
	l, err := net.Listen("unix", "@hotline-test-"+t.Name())
	require.NoError(t, err)
	serveOn(t, l, echo)
	c, err := connect(t, tcp.Config{Network: "unix", Address: l.Addr().String()})
	require.NoError(t, err)
	wantEcho(t, c)
}

func TestConnectToASocketWithoutAFile(t *testing.T) {
	name := fmt.Sprintf("@hotline-%d-%d", os.Getpid(), os.Getppid())
	l, err := net.Listen("unix", name)
	require.NoError(t, err)
	serveOn(t, l, echo)
	connector, err := driver.OpenConnector("unix", "unix:///"+name)
	require.NoError(t, err)
	assert.Equal(t, "unix "+name, connector.(driver.Advisor).Advice().Name)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	wantEcho(t, c)
}

// A wrong name is reported when the pool is opened, not at each connect.
func TestTheLongestNameOfASocketConnectsAndALongerOneIsRefused(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	for name, longest := range map[string]string{
		"path": dir + "/" + strings.Repeat("p", 107-len(dir)-1),
		"@":    "@" + fmt.Sprintf("%0107d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("unix", longest)
			require.NoError(t, err)
			serveOn(t, l, echo)
			c, err := connect(t, tcp.Config{Network: "unix", Address: longest})
			require.NoError(t, err)
			wantEcho(t, c)
			_, err = tcp.NewConnector(tcp.Config{Network: "unix", Address: longest + "x"})
			require.EqualError(t, err, fmt.Sprintf("tcp: address of %d bytes: want a path of at most %d", len(longest)+1, len(longest)))
		})
	}
}
