package driver

import (
	"context"
	"net"
	"net/netip"
)

// addressKey is the key of a fixedAddress in a context.
type addressKey struct{}

// fixedAddress is the IP address to dial for name, a host:port.
type fixedAddress struct {
	name string
	ip   netip.Addr
}

// WithAddress returns a context with which the Connect of a driver dials ip for
// address, a host:port, instead of looking the host up. For everything else, such as
// the name in a certificate, the driver uses address. Package driver/endpoints calls
// it to reach each of the addresses of a name.
func WithAddress(ctx context.Context, address string, ip netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, fixedAddress{address, ip})
}

// DialAddress returns what to dial to reach address: the IP address that
// [WithAddress] has set for it in ctx, with its port, or else address itself. Drivers
// that dial should call it. One that does not reaches any of the addresses of the
// name.
func DialAddress(ctx context.Context, address string) string {
	fixed, ok := ctx.Value(addressKey{}).(fixedAddress)
	if !ok || fixed.name != address {
		return address
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(fixed.ip.String(), port)
}
