package endpoints

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
)

// Order says which of the endpoints that are up gets the next connection.
type Order uint8

// The orders.
const (
	InOrder   Order = iota // the first of Addrs; among the addresses of a name, the one with the fewest connections
	Random                 // any
	LeastOpen              // the one with the fewest connections
)

// orders are the names of the orders in a DSN.
var orders = []string{InOrder: "in_order", Random: "random", LeastOpen: "least_open"}

// String returns the name that the order has in a DSN.
func (o Order) String() string {
	if int(o) < len(orders) {
		return orders[o]
	}
	return "Order(" + strconv.Itoa(int(o)) + ")"
}

// Set says which endpoints there are and how to choose among them. Addrs and Connector
// are required.
type Set struct {
	// Addrs are host:port, the preferred one first. A host is an IP address or
	// a name, which stands for all of its addresses. With SRV, Addrs are domains.
	Addrs []string

	// SRV, if not empty, is a service such as "imaps". The hosts and ports are then
	// those of the _imaps._tcp records of the domains in Addrs. With every Order, the
	// lowest priority comes first; hosts of the same priority share the connections by
	// their weights. The package doc says what SRV means for certificates, under Names.
	SRV string

	// Connector returns the connector for addr, a host:port of Addrs or of a record,
	// without dialing. The result must not be a driver.Tracker. Connector is called once
	// for each addr, and again if an addr was gone and is back.
	Connector func(addr string) (driver.Connector, error)

	// Order says which endpoint comes first. Zero means InOrder.
	Order Order

	// Want, if not nil, checks each new connection, for example that its server has
	// the right role. If it returns an error, the connection is closed, and the
	// endpoint counts as unfit. ctx ends with that of Connect, or when another endpoint
	// wins.
	Want func(ctx context.Context, c driver.Conn) error

	// Share limits how long a Connect tries one endpoint alone, as a fraction of the
	// time it has left: more than 0, up to 1. Zero means 0.25.
	Share float64

	// Refresh is how often names are looked up again, at least 1 second. Zero means
	// 30 seconds. Negative means that only the driver looks up names, and uses one of
	// the addresses.
	Refresh time.Duration

	// Resolver looks up names. Nil means net.DefaultResolver.
	Resolver Resolver

	// Logger gets one line for each change of the status of an endpoint, and one
	// when lookups begin to fail or work again, each with the name of the set. The
	// zero Logger is silent.
	Logger logr.Logger
}

// Resolver looks up names. LookupNetIP and LookupSRV work like those of [net.Resolver].
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

const (
	defaultShare   = 0.25
	defaultRefresh = 30 * time.Second
)

// withDefaults returns s with defaults for its zero fields, and with its own copy of
// Addrs.
func (s Set) withDefaults() Set {
	s.Addrs = slices.Clone(s.Addrs)
	if s.Share == 0 {
		s.Share = defaultShare
	}
	if s.Refresh == 0 {
		s.Refresh = defaultRefresh
	}
	if s.Resolver == nil {
		s.Resolver = net.DefaultResolver
	}
	return s
}

// check returns the first fault in Addrs, and all faults in the other fields. It does
// not show the items of Addrs, which may be parts of a password.
func (s Set) check() error {
	var errs []error
	want := func(ok bool, what, allowed string) {
		if !ok {
			errs = append(errs, fmt.Errorf("endpoints: %s: want %s", what, allowed))
		}
	}
	errs = append(errs, s.checkAddrs())
	want(s.Connector != nil, "Connector", "a function")
	want(int(s.Order) < len(orders), s.Order.String(), strings.Join(orders, ", "))
	want(s.Share > 0 && s.Share <= 1, fmt.Sprintf("share %v", s.Share), "more than 0, up to 1")
	want(s.Refresh < 0 || s.Refresh >= leastBetween, fmt.Sprintf("refresh %v", s.Refresh), "at least 1s, or a negative duration")
	want(s.SRV == "" || s.Refresh > 0, "refresh", "a positive duration with an SRV service")
	return errors.Join(errs...)
}

// checkAddrs returns the first fault in Addrs.
func (s Set) checkAddrs() error {
	if len(s.Addrs) == 0 {
		return errors.New("endpoints: no hosts; want at least one")
	}
	first := map[string]int{}
	for i, addr := range s.Addrs {
		where := fmt.Sprintf("endpoints: host %d of %d", i+1, len(s.Addrs))
		if fault := s.faultOf(addr); fault != "" {
			return fmt.Errorf("%s: %s", where, fault)
		}
		if earlier, twice := first[strings.ToLower(addr)]; twice {
			return fmt.Errorf("%s: it is the same as host %d; list each host once", where, earlier)
		}
		first[strings.ToLower(addr)] = i + 1
	}
	return nil
}

// faultOf returns the fault of one item of Addrs, or "".
func (s Set) faultOf(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if s.SRV != "" {
		host, err = addr, nil
	}
	switch {
	case addr == "":
		return "it is empty; want host:port between the commas"
	case s.SRV != "" && (!isHost(host) || isIP(host)):
		return "want a domain without a port, because SRV records have the port"
	case s.SRV != "":
		return ""
	case err != nil && !strings.HasSuffix(err.Error(), "missing port in address"):
		return "want host:port, an IPv6 address in brackets"
	case err != nil || port == "":
		return "its port is missing; want host:port"
	case !isHost(host) && !isIP(host):
		return "want a host of letters, digits, dots and dashes, or an IPv6 address in brackets"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "its port is not a number from 1 to 65535"
	}
	return ""
}

// isHost reports whether s looks like a host name.
func isHost(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// isIP reports whether s is an IP address.
func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
