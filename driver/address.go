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

// WithAddress returns a context that makes Connect dial ip for address, a host:port,
// instead of looking up the host. The driver uses address for everything else, such
// as to check the name in a certificate. Package driver/endpoints calls it to reach
// each address of a name.
func WithAddress(ctx context.Context, address string, ip netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, fixedAddress{address, ip})
}

// DialAddress returns the host:port to dial for address. It is the IP address that
// [WithAddress] has set for address in ctx, with the port of address, or else address
// itself. Drivers that dial should call it, because a driver that dials a name may
// reach any of its addresses.
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
