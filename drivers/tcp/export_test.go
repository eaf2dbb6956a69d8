package tcp

import "net"

// Dialer is what makes the socket. Its fallback delay shows only on a machine
// with two families of addresses, one of them broken.
func Dialer(c Config) *net.Dialer { return c.dialer() }

// ThroughProxy is one exchange with a proxy.
func ThroughProxy(c net.Conn, proxy, target string) error {
	u, err := parseProxy(proxy)
	if err != nil {
		return err
	}
	return throughProxy(c, u, target)
}
