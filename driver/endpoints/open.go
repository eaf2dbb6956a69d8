package endpoints

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// prefix begins the names of the DSN parameters of this package.
const prefix = "hosts_"

// Open is [driver.OpenConnector] for a DSN that may have several hosts and the
// parameters in the package doc. If it has neither, Open returns the connector of
// driver.OpenConnector itself. log is the Logger of the [Set]. pool.Open calls it.
//
// Open does not dial. Its errors show no secret.
func Open(name, text string, log logr.Logger) (driver.Connector, error) {
	rest, params, err := dsn.Cut(text, prefix)
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	before, hosts, after := cutHosts(rest)
	if len(params) == 0 && !strings.Contains(hosts, ",") {
		return driver.OpenConnector(name, text)
	}
	if strings.Contains(after, "@") && strings.IndexByte(after, '@') < strings.IndexByte(after+"?", '?') {
		return nil, errors.New("endpoints: unexpected @ after the hosts; in user and password, percent-encode everything except letters and digits")
	}
	set := Set{Logger: log, Addrs: strings.Split(hosts, ",")}
	if err := set.apply(params); err != nil {
		return nil, err
	}
	set.Connector = func(addr string) (driver.Connector, error) {
		return driver.OpenConnector(name, before+addr+after)
	}
	c, err := New(set)
	if err != nil {
		return nil, err
	}
	if set.SRV != "" { // any port will do for the driver to check the rest of the DSN
		connector, err := set.Connector(net.JoinHostPort(set.Addrs[0], "1"))
		if err != nil {
			return nil, err
		}
		c.advise(connector, net.JoinHostPort(set.Addrs[0], "1"))
	}
	if !strings.HasPrefix(c.advice.Name, name) {
		c.advice.Name = name + " " + c.advice.Name
	}
	return c, nil
}

// cutHosts cuts text, scheme://user:password@hosts/path?query, before and after its
// hosts. hosts is empty if text is not a URL.
func cutHosts(text string) (before, hosts, after string) {
	i := strings.Index(text, "://")
	if i < 0 {
		return text, "", ""
	}
	start := i + len("://")
	end := len(text)
	if i := strings.IndexAny(text[start:], "/?#"); i >= 0 {
		end = start + i
	}
	start += strings.LastIndexByte(text[start:end], '@') + 1
	return text[:start], text[start:end], text[end:]
}

// apply sets the fields of s from values, the parameters of a DSN.
func (s *Set) apply(values map[string]string) error {
	var p dsn.Params
	p.Func(prefix+"order", strings.Join(orders, " or "), func(value string) error {
		i := slices.Index(orders, value)
		if i < 0 {
			return dsn.ErrUnfit
		}
		s.Order = Order(i)
		return nil
	})
	p.Duration(prefix+"refresh", &s.Refresh, math.MinInt64)
	p.Float(prefix+"share", &s.Share, 0, 1)
	p.String(prefix+"srv", &s.SRV)
	if err := p.Apply(values); err != nil {
		return fmt.Errorf("endpoints: %w", err)
	}
	return nil
}
