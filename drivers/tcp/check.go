package tcp

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What Linux takes; other systems take as much or more.
const (
	maxKeepAlive      = 32767 * time.Second
	maxKeepAliveCount = 127
	maxUserTimeout    = math.MaxInt32 * time.Millisecond
)

// faults collects what is wrong with a Config. Fields go by the names that
// they have in a DSN.
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
	f.want((c.PingBytes == "") == (c.PongBytes == ""), "ping, pong", "both or none; without an answer a ping proves nothing")
	f.want(c.Ping == nil || c.PingBytes == "", "ping", "bytes or a function, not both")
	return errors.Join(f...)
}

func (c *Config) checkAddress(f *faults) {
	switch c.network() {
	case "tcp":
		f.want(isHostPort(c.Address), fmt.Sprintf("address %q", c.Address), "host:port with a port from 1 to 65535")
	case "unix":
		f.want(c.Address != "", "address", "the path of a socket, as in unix:///run/server.sock")
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

// checkSocket refuses the settings that only a TCP socket made by net.Dialer
// can have where there is none.
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
		f.want(setting.unset, setting.name, "it not to be set, with a unix socket or a Dial function")
	}
}

func (c *Config) checkTimes(f *faults) {
	within := func(d, lowest, highest time.Duration) bool { return d == 0 || lowest <= d && d <= highest }
	f.want(c.KeepAliveIdle < 0 || within(c.KeepAliveIdle, time.Second, maxKeepAlive),
		fmt.Sprint("keepalive_idle ", c.KeepAliveIdle),
		fmt.Sprint("1s to ", maxKeepAlive, ", 0 for 15s, or less for no keepalive"))
	f.want(within(c.KeepAliveInterval, time.Second, maxKeepAlive),
		fmt.Sprint("keepalive_interval ", c.KeepAliveInterval),
		fmt.Sprint("1s to ", maxKeepAlive, ", or 0 for 15s"))
	f.want(0 <= c.KeepAliveCount && c.KeepAliveCount <= maxKeepAliveCount,
		fmt.Sprint("keepalive_count ", c.KeepAliveCount),
		fmt.Sprint("1 to ", maxKeepAliveCount, ", or 0 for 9"))
	f.want(within(c.UserTimeout, time.Millisecond, maxUserTimeout),
		fmt.Sprint("user_timeout ", c.UserTimeout),
		fmt.Sprint("1ms to ", maxUserTimeout, ", or 0 for what the system does"))
	f.want(c.UserTimeout == 0 || hasUserTimeout, "user_timeout", "none; only Linux has it")
}

// isHostPort reports whether s is host:port with a number for a port. Spaces
// and control characters in the host would end up in a proxy's request line.
func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, errPort := strconv.ParseUint(port, 10, 16)
	return err == nil && errPort == nil && n > 0 && host != "" && len(host) <= 255 &&
		!strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
