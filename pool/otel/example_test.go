package otel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/otel"
)

// phone is a connection to nothing.
type phone struct{}

func (phone) Close() error { return nil }

// dial connects to nothing.
type dial struct{}

func (dial) Connect(context.Context) (driver.Conn, error) { return phone{}, nil }

func Example() {
	reader := metric.NewManualReader() // a service has an exporting reader
	telemetry, err := otel.New(otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	observer := telemetry.Observer()
	p, err := pool.New[phone](dial{}, pool.Config{Name: "gateway", MaxOpen: 4, Trace: observer.Trace(pool.Trace{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	observer.Observe(p)

	lease, err := p.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		fmt.Println(err)
	}
	for _, m := range got.ScopeMetrics[0].Metrics {
		if m.Name == "hotline.client.connection.count" {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				fmt.Println(p.Value, m.Unit, p.Attributes.Encoded(attribute.DefaultEncoder()))
			}
		}
	}
	// Unordered output:
	// 0 {connection} hotline.client.connection.pool.name=gateway,hotline.client.connection.state=idle
	// 1 {connection} hotline.client.connection.pool.name=gateway,hotline.client.connection.state=used
}
