package observe_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	_ "github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/pool"
	hotlineotel "github.com/hotline-go/hotline/pool/otel"
	hotlineprom "github.com/hotline-go/hotline/pool/prometheus"
	"github.com/hotline-go/hotline/pool/status"
)

// open opens a pool and shows it in every way.
func open(dsn string, mux *http.ServeMux) (*pool.Pool[net.Conn], error) {
	telemetry, err := hotlineotel.New(hotlineotel.Options{}) // once for all pools
	if err != nil {
		return nil, err
	}
	observer := telemetry.Observer()
	p, err := pool.Open[net.Conn]("tcp", dsn, pool.Config{
		Name:      "gateway",
		LeakAfter: time.Minute,                                    // reports leases that nobody releases
		Trace:     observer.Trace(pool.Trace{}),                   // OpenTelemetry: spans and times
		Logger:    logr.FromSlogHandler(slog.Default().Handler()), // slog
	})
	if err != nil {
		return nil, err
	}
	observer.Observe(p)                         // OpenTelemetry: the state of the pool
	prometheus.MustRegister(hotlineprom.New(p)) // Prometheus; Add adds more pools
	mux.Handle("/debug/pools", status.New(p))   // the page; Add adds more pools
	return p, nil
}

// show prints the lines of a page that begin with prefix.
func show(mux *http.ServeMux, path, prefix string) {
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			fmt.Print(line)
		}
	}
}

// nobody returns an address where nothing listens any more.
func nobody() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func Example() {
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	p, err := open("tcp://"+nobody()+"?pool_fail_fast=true", mux)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = p.Do(context.Background(), func(context.Context, net.Conn) error { return nil }) // fails
	show(mux, "/debug/pools", "<h1>")
	show(mux, "/metrics", "hotline_pool_connect_failures_total")
	_ = p.Close() // after which nothing is logged
	fmt.Println(strings.Contains(log.String(), `level=ERROR msg="connect failed" pool=gateway`))
	// Output:
	// <h1>gateway</h1>
	// hotline_pool_connect_failures_total{pool="gateway"} 1
	// true
}
