package tcp

import "net"

// Dialer returns the dialer of the socket. The effect of its fallback delay shows
// only on a machine with two IP families, one of them broken.
func Dialer(c Config) *net.Dialer { return c.dialer() }

// ThroughProxy makes one exchange with a proxy.
func ThroughProxy(c net.Conn, proxy, target string) error {
	u, err := parseProxy(proxy)
	if err != nil {
		return err
	}
	return throughProxy(c, u, target)
}
