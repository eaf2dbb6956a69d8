package prometheus_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/pool/prometheus"
)

// phone is a connection to nothing.
type phone struct{}

func (phone) Close() error { return nil }

// dial connects to nothing.
type dial struct{}

func (dial) Connect(context.Context) (driver.Conn, error) { return phone{}, nil }

// scrape prints the lines of a scrape that begin with one of lines.
func scrape(c *prometheus.Collector, lines ...string) {
	registry := prom.NewRegistry()
	registry.MustRegister(c)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for in := bufio.NewScanner(page.Body); in.Scan(); {
		for _, l := range lines {
			if strings.HasPrefix(in.Text(), l) {
				fmt.Println(in.Text())
			}
		}
	}
}

func Example() {
	p, err := pool.New[phone](dial{}, pool.Config{Name: "gateway", MaxOpen: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	pools := prometheus.New(p)

	lease, err := p.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	scrape(pools, "hotline_pool_connections", "hotline_pool_acquires")
	// Output:
	// hotline_pool_acquires_total{pool="gateway"} 1
	// hotline_pool_connections{pool="gateway",state="closing"} 0
	// hotline_pool_connections{pool="gateway",state="connecting"} 0
	// hotline_pool_connections{pool="gateway",state="gated"} 0
	// hotline_pool_connections{pool="gateway",state="idle"} 0
	// hotline_pool_connections{pool="gateway",state="leased"} 1
}

// Export the sum over all keys, and at most 100 single keys.
func ExampleCollector_AddKeys() {
	mail, err := keyed.Open[string, phone](func(string) (driver.Connector, error) { return dial{}, nil }, keyed.Config[string]{
		MaxOpen: 20,
		Group:   "mail",
		Name:    func(user string) string { return fmt.Sprintf("user-%d", len(user)) }, // no personal data
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()
	pools := prometheus.New()
	pools.AddKeys(mail, 100)

	for range 3 {
		err := mail.Do(context.Background(), "ada@example.org", func(context.Context, phone) error { return nil })
		if err != nil {
			fmt.Println(err)
		}
	}
	scrape(pools, "hotline_pool_acquires", "hotline_key_acquires")
	// Output:
	// hotline_key_acquires_total{key="user-15",pool="mail"} 3
	// hotline_pool_acquires_total{pool="mail"} 3
}
