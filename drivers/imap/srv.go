package imap

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hotline-go/hotline/driver"
)

// addresses returns where to connect, the best first.
func (o *opener) addresses(ctx context.Context) ([]string, error) {
	if !o.SRV {
		return []string{o.Address}, nil
	}
	lookup := o.LookupSRV
	if lookup == nil {
		lookup = net.DefaultResolver.LookupSRV
	}
	service := "imaps"
	if o.Encryption == StartTLS || o.Encryption == None {
		service = "imap"
	}
	domain, _, _ := net.SplitHostPort(o.Address) // checked
	_, records, err := lookup(ctx, service, "tcp", domain)
	if err != nil {
		return nil, fmt.Errorf("imap: look up _%s._tcp.%s: %w", service, domain, err)
	}
	var addresses []string
	for _, r := range records {
		if host := strings.TrimSuffix(r.Target, "."); host != "" { // a bare dot: there is no such service
			addresses = append(addresses, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
	}
	if len(addresses) == 0 {
		return nil, driver.Permanent(fmt.Errorf("imap: look up _%s._tcp.%s: the domain has no such service", service, domain))
	}
	return addresses, nil
}
