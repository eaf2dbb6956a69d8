package imap

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// addresses returns the addresses to try, best first.
func (o *opener) addresses(ctx context.Context) ([]string, error) {
	if !o.SRV {
		return []string{o.TCP.Address}, nil
	}
	lookup := o.LookupSRV
	if lookup == nil {
		lookup = net.DefaultResolver.LookupSRV
	}
	service := "imaps"
	if o.Encryption == StartTLS || o.Encryption == None {
		service = "imap"
	}
	domain, _, _ := net.SplitHostPort(o.TCP.Address) // checked
	_, records, err := lookup(ctx, service, "tcp", domain)
	if err != nil && len(records) == 0 { // a net.Resolver leaves out malformed records
		return nil, fmt.Errorf("imap: look up _%s._tcp.%s: %w", service, domain, err)
	}
	var addresses []string
	for _, r := range records {
		if host := strings.TrimSuffix(r.Target, "."); host != "" { // a single dot means no service
			addresses = append(addresses, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
	}
	if len(addresses) == 0 {
		return nil, doubtful{fmt.Errorf("imap: look up _%s._tcp.%s: the domain has no such service", service, domain)}
	}
	return addresses, nil
}
