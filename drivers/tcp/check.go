package tcp

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The limits of Linux. Other systems have the same or higher ones.
const (
	maxKeepAlive      = 32767 * time.Second
	maxKeepAliveCount = 127
	maxUserTimeout    = math.MaxInt32 * time.Millisecond
)

// faults collects the faults of a Config. It calls the fields by their names in
// a DSN.
type faults []error

// want adds a fault unless ok.
func (f *faults) want(ok bool, what, allowed string) {
	if !ok {
		*f = append(*f, fmt.Errorf("tcp: %s: want %s", what, allowed))
	}
}

// check returns all faults together.
func (c *Config) check() error {
	var f faults
	c.checkAddress(&f)
	c.checkSocket(&f)
	c.checkTimes(&f)
	f.want((c.PingBytes == "") == (c.PongBytes == ""), "ping, pong", "both or neither; without an answer a ping proves nothing")
	f.want(c.Ping == nil || c.PingBytes == "", "ping", "bytes or a function, not both")
	return errors.Join(f...)
}

func (c *Config) checkAddress(f *faults) {
	switch c.network() {
	case "tcp":
		f.want(isHostPort(c.Address), fmt.Sprintf("address %q", c.Address), "host:port with a port from 1 to 65535")
		host, _, _ := net.SplitHostPort(c.Address)
		f.want(c.Proxy == "" || !strings.Contains(host, "%"), fmt.Sprintf("address %q", c.Address), "no zone with a proxy, because zones are local to a machine")
	case "unix":
		c.checkSocketName(f)
		f.want(c.Proxy == "", "proxy", "none with a unix socket")
	default:
		f.want(false, fmt.Sprintf("network %q", c.Network), "tcp or unix")
	}
	if c.Proxy != "" {
		_, err := parseProxy(c.Proxy)
		f.want(err == nil, "proxy", fmt.Sprintf("%s (%v)", proxyForms, err))
	}
	_, err := netip.ParseAddr(c.LocalAddr)
	f.want(err == nil || c.LocalAddr == "", fmt.Sprintf("local_addr %q", c.LocalAddr), "an IP address")
}

// checkSocketName checks the Address of a unix socket.
func (c *Config) checkSocketName(f *faults) {
	longest := socketNameSize() - 1 // one byte is for the NUL after it
	if strings.HasPrefix(c.Address, "@") {
		longest++
		f.want(len(c.Address) > 1, "address", "a name after the @")
		f.want(runtime.GOOS == "linux" || runtime.GOOS == "android", "address", "the path of a socket; only Linux has names that begin with @")
	}
	f.want(c.Address != "", "address", "the path of a socket, as in unix:///run/server.sock")
	f.want(!strings.Contains(c.Address, "\x00"), "address", "a path without a NUL, which would end it")
	f.want(len(c.Address) <= longest || c.Dial != nil, fmt.Sprintf("address of %d bytes", len(c.Address)), fmt.Sprintf("a path of at most %d", longest))
}

// socketNameSize returns the size of the name in a sockaddr_un.
func socketNameSize() int {
	switch runtime.GOOS {
	case "linux", "android", "windows", "solaris", "illumos":
		return 108
	case "aix":
		return 1023
	}
	return 104 // macOS and the BSDs
}

// checkSocket rejects the settings of a TCP socket if net.Dialer will not make
// one.
func (c *Config) checkSocket(f *faults) {
	if c.Network != "unix" && c.Dial == nil {
		return
	}
	for _, setting := range []struct {
		name  string
		unset bool
	}{
		{"local_addr", c.LocalAddr == ""},
		{"fallback_delay", c.FallbackDelay == 0},
		{"nodelay", !c.Delay},
		{"keepalive_idle", c.KeepAliveIdle == 0},
		{"keepalive_interval", c.KeepAliveInterval == 0},
		{"keepalive_count", c.KeepAliveCount == 0},
		{"user_timeout", c.UserTimeout == 0},
	} {
		f.want(setting.unset, setting.name, "none with a unix socket or a Dial function")
	}
}

func (c *Config) checkTimes(f *faults) {
	within := func(d, lowest, highest time.Duration) bool { return d == 0 || lowest <= d && d <= highest }
	f.want(c.KeepAliveIdle < 0 || within(c.KeepAliveIdle, time.Second, maxKeepAlive),
		fmt.Sprint("keepalive_idle ", c.KeepAliveIdle),
		fmt.Sprint("1s to ", maxKeepAlive, ", 0 for 15s, or negative for no keepalive"))
	f.want(within(c.KeepAliveInterval, time.Second, maxKeepAlive),
		fmt.Sprint("keepalive_interval ", c.KeepAliveInterval),
		fmt.Sprint("1s to ", maxKeepAlive, ", or 0 for 15s"))
	f.want(0 <= c.KeepAliveCount && c.KeepAliveCount <= maxKeepAliveCount,
		fmt.Sprint("keepalive_count ", c.KeepAliveCount),
		fmt.Sprint("1 to ", maxKeepAliveCount, ", or 0 for 9"))
	f.want(within(c.UserTimeout, time.Millisecond, maxUserTimeout),
		fmt.Sprint("user_timeout ", c.UserTimeout),
		fmt.Sprint("1ms to ", maxUserTimeout, ", or 0 for the system's default"))
	f.want(c.UserTimeout == 0 || hasUserTimeout, "user_timeout", "none; only Linux has it")
}

// isHostPort reports whether s is host:port with a numeric port.
func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, errPort := strconv.ParseUint(port, 10, 16)
	return err == nil && errPort == nil && n > 0 && isHost(host)
}

// isHost reports whether s is an IP address or could be a name. Anything else, such
// as user@host, would end up in the request line for a proxy.
func isHost(s string) bool {
	addr, err := netip.ParseAddr(s)
	if err == nil {
		s = addr.Zone()
	}
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`/\@:?#%[]()<>{},;"'`, r)
	}
	return (s != "" || err == nil) && len(s) <= 255 && !strings.ContainsFunc(s, odd)
}
