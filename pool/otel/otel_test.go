package otel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/pool/otel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type conn = drivertest.FakeConn

// sdk collects metrics and spans.
type sdk struct {
	*otel.Telemetry
	t      testing.TB
	reader *metric.ManualReader
	tracer *trace.TracerProvider
	spans  *tracetest.SpanRecorder
}

func start(t testing.TB, o otel.Options) *sdk {
	s := &sdk{t: t, reader: metric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	s.tracer = trace.NewTracerProvider(trace.WithSpanProcessor(s.spans))
	o.MeterProvider, o.TracerProvider = metric.NewMeterProvider(metric.WithReader(s.reader)), s.tracer
	var err error
	s.Telemetry, err = otel.New(o)
	require.NoError(t, err)
	return s
}

// metrics collects and returns the metrics.
func (s *sdk) metrics() (all []metricdata.Metrics) {
	var got metricdata.ResourceMetrics
	require.NoError(s.t, s.reader.Collect(context.Background(), &got))
	for _, scope := range got.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// values returns the values by name and attributes, as in name{key=value}. For a
// histogram, that is the count; name{…}_sum has the sum.
func (s *sdk) values() map[string]float64 {
	values := make(map[string]float64)
	for _, m := range s.metrics() {
		name := strings.TrimPrefix(m.Name, "hotline.client.connection.")
		id := func(a attribute.Set) string {
			var pairs []string
			for _, kv := range a.ToSlice() {
				pairs = append(pairs, strings.TrimPrefix(string(kv.Key), "hotline.client.connection.")+"="+kv.Value.String())
			}
			return name + "{" + strings.Join(pairs, ",") + "}"
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				values[id(p.Attributes)] = float64(p.Value)
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				values[id(p.Attributes)] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				values[id(p.Attributes)], values[id(p.Attributes)+"_sum"] = float64(p.Count), p.Sum
			}
		default:
			require.Fail(s.t, "unexpected data", "%s: %T", m.Name, data)
		}
	}
	return values
}

// open returns a pool that s observes. It is closed when the test ends.
func (s *sdk) open(cfg pool.Config) (*drivertest.Fake, *pool.Pool[*conn]) {
	f, o := drivertest.NewFake(s.t), s.Observer()
	cfg.Trace = o.Trace(cfg.Trace)
	p, err := pool.New[*conn](f, cfg)
	require.NoError(s.t, err)
	o.Observe(p)
	s.t.Cleanup(func() { assert.NoError(s.t, p.Close()) })
	return f, p
}

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// fixed is a pool in a state that the test sets.
type fixed pool.Snapshot

func (f fixed) Snapshot() pool.Snapshot { return pool.Snapshot(f) }

func TestNamesAndUnitsFollowTheConventions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, otel.Options{Prefix: "db.client.connection", UseEvery: 1})
		_, p := s.open(pool.Config{})
		require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error { return nil }))
		units, sets := map[string]string{}, map[string]attribute.Set{}
		for _, m := range s.metrics() {
			units[m.Name] = m.Unit
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
				sets[m.Name] = sum.DataPoints[0].Attributes
				counts := []string{"db.client.connection.timeouts", "db.client.connection.failures", "db.client.connection.closed"}
				assert.Equal(t, slices.Contains(counts, m.Name), sum.IsMonotonic, m.Name)
			}
		}
		for _, want := range []interface {
			Name() string
			Unit() string
		}{
			dbconv.ClientConnectionCount{}, dbconv.ClientConnectionMax{}, dbconv.ClientConnectionIdleMax{}, dbconv.ClientConnectionIdleMin{},
			dbconv.ClientConnectionPendingRequests{}, dbconv.ClientConnectionTimeouts{},
			dbconv.ClientConnectionCreateTime{}, dbconv.ClientConnectionWaitTime{}, dbconv.ClientConnectionUseTime{},
		} {
			assert.Equal(t, want.Unit(), units[want.Name()], want.Name())
		}
		count := sets["db.client.connection.count"]
		assert.True(t, count.HasValue("db.client.connection.pool.name"))
		state, _ := count.Value("db.client.connection.state")
		assert.Contains(t, []string{string(dbconv.ClientConnectionStateIdle), string(dbconv.ClientConnectionStateUsed)}, state.AsString())
	})
}

func TestASnapshotIsShown(t *testing.T) {
	s := start(t, otel.Options{})
	full := fixed{Pool: "p", MinIdle: 1, MaxIdle: 2, OldestWait: 1500 * time.Millisecond, Conns: []pool.ConnInfo{{Suspect: true}, {}}}
	full.Stats.Gauges = pool.Gauges{MaxOpen: 3, Limit: 4, Open: 11, Idle: 5, Leased: 6, Waiting: 7}
	full.Stats.Timeouts, full.Stats.Closed.Bad, full.Stats.Failed = 8, 9, 10
	s.Observer().Observe(full)
	unlimited := fixed{Pool: "q", MaxIdle: -1, Stats: pool.Stats{Gauges: pool.Gauges{MaxOpen: math.MaxInt, Limit: math.MaxInt}}}
	s.Observer().Observe(unlimited)
	got := s.values()
	for id, want := range map[string]float64{
		"count{pool.name=p,state=idle}": 5, "count{pool.name=p,state=used}": 6, "max{pool.name=p}": 3, "limit{pool.name=p}": 4,
		"idle.min{pool.name=p}": 1, "idle.max{pool.name=p}": 2, "pending_requests{pool.name=p}": 7, "timeouts{pool.name=p}": 8,
		"oldest_wait_time{pool.name=p}": 1.5, "suspects{pool.name=p}": 1, "closed{pool.name=p,reason=bad}": 9,
		"failures{pool.name=p,reason=timeout}": 8, "failures{pool.name=p,reason=connect}": 10, "failures{pool.name=p,reason=rejected}": 0,
	} {
		assert.Equal(t, want, got[id], id)
	}
	for _, id := range []string{"max", "limit", "idle.max"} {
		assert.NotContains(t, got, id+"{pool.name=q}", "it has no limit")
	}
}

func TestTimesAreThoseOfQueuedCallersConnectsAndLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, otel.Options{UseEvery: 1})
		f, p := s.open(pool.Config{Name: "p", MaxOpen: 1, AcquireTimeout: 5 * time.Second})
		f.Always(drivertest.Connect, drivertest.Delay(2*time.Second))
		l, err := p.Acquire(t.Context()) // waits for its Connect
		require.NoError(t, err)
		_, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrTimeout)
		l.Discard(nil)
		f.Down(errors.New("no route"))
		_, err = p.Acquire(t.Context())
		require.Error(t, err)
		got := s.values()
		for id, want := range map[string]float64{
			"wait_time{pool.name=p}": 1, "wait_time{pool.name=p}_sum": 2,
			"wait_time{error.type=timeout,pool.name=p}": 1, "wait_time{error.type=timeout,pool.name=p}_sum": 5,
			"wait_time{error.type=_OTHER,pool.name=p}": 1,
			"create_time{pool.name=p}":                 1, "create_time{pool.name=p}_sum": 2,
			"create_time{error.type=_OTHER,pool.name=p}": 1,
			"use_time{pool.name=p}":                      1, "use_time{pool.name=p}_sum": 5,
		} {
			assert.Equal(t, want, got[id], id)
		}

		f.Up()
		f.Always(drivertest.Connect, nil)
		advance(time.Minute)
		for range 100 {
			require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error { return nil }))
		}
		assert.LessOrEqual(t, s.values()["wait_time{pool.name=p}"], 2.0, "a caller that gets an idle connection does not wait")
	})
}

func TestErrorTypesAreFew(t *testing.T) {
	for want, err := range map[string]error{
		"permanent": driver.Permanent(errors.New("wrong password")),
		"full":      driver.Full(errors.New("too many"), 0),
		"throttled": driver.Throttled(errors.New("slow down"), time.Hour),
		"_OTHER":    errors.New("no route"),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, otel.Options{})
			f, p := s.open(pool.Config{Name: "p"})
			f.Down(err)
			_, _ = p.Acquire(t.Context())
			assert.Positive(t, s.values()["create_time{error.type="+want+",pool.name=p}"], want)
		})
	}
}

func TestSpansNestInTheSpanOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, otel.Options{})
		f, p := s.open(pool.Config{Name: "p", MaxOpen: 1})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error { return nil }))
		assert.Empty(t, s.spans.Ended(), "the caller has no span")
		p.Reset()

		ctx, request := s.tracer.Tracer("test").Start(t.Context(), "request")
		require.NoError(t, p.Do(ctx, func(context.Context, *conn) error { return nil }))
		advance(2 * time.Second) // a check is due
		require.NoError(t, p.Do(ctx, func(context.Context, *conn) error { return nil }))
		f.Down(errors.New("\x1b[31m" + strings.Repeat("long ", 1000)))
		p.Reset()
		_, err := p.Acquire(ctx)
		require.Error(t, err)
		request.End()
		parents, failed := map[string]int{}, 0
		byID := map[string]trace.ReadOnlySpan{}
		for _, span := range s.spans.Ended() {
			byID[span.SpanContext().SpanID().String()] = span
		}
		for _, span := range s.spans.Ended() {
			if parent := byID[span.Parent().SpanID().String()]; parent != nil {
				parents[span.Name()+" in "+parent.Name()]++
				assert.Contains(t, span.Attributes(), attribute.String("hotline.client.connection.pool.name", "p"))
			}
			if status := span.Status(); status.Code == codes.Error {
				failed++
				assert.Contains(t, status.Description, `\x1b[31m`)
				assert.Less(t, len(status.Description), 1200)
				assert.Contains(t, span.Attributes(), attribute.String("error.type", "_OTHER"))
			}
		}
		assert.Equal(t, map[string]int{"hotline.wait in request": 3, "hotline.connect in hotline.wait": 2, "hotline.ping in hotline.wait": 1}, parents)
		assert.Equal(t, 2, failed)
	})
}

func TestTheTraceOfTheUserIsCalledToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		type key struct{}
		s := start(t, otel.Options{UseEvery: 1})
		f, p := s.open(pool.Config{ValidateAfter: time.Nanosecond, Trace: pool.Trace{
			Wait: func(ctx context.Context, _ pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
				return context.WithValue(ctx, key{}, "waits"), func(pool.WaitEnd) { calls = append(calls, "wait") }
			},
			Connect: func(ctx context.Context, _ pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) {
				assert.Equal(t, "waits", ctx.Value(key{}))
				calls = append(calls, "connect")
				return nil, nil
			},
			Ping: func(ctx context.Context, _ pool.PingStart) (context.Context, func(pool.PingEnd)) {
				return ctx, func(pool.PingEnd) { calls = append(calls, "ping") }
			},
			Use:   func(pool.UseInfo) { calls = append(calls, "use") },
			Close: func(pool.CloseInfo) { calls = append(calls, "close") },
		}})
		f.Always(drivertest.Connect, drivertest.Delay(time.Second)) // the Connect ends after the wait has begun
		require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error { return nil }))
		advance(time.Second)
		require.NoError(t, p.Do(t.Context(), func(context.Context, *conn) error { return nil }))
		require.NoError(t, p.Close())
		assert.Equal(t, []string{"connect", "wait", "use", "ping", "wait", "use", "close"}, calls)
	})
}

func TestPoolsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, otel.Options{})
		_, first := s.open(pool.Config{Name: "p", MaxOpen: 1})
		s.open(pool.Config{Name: "p", MaxOpen: 2})
		end := s.Observer().Observe(fixed{Pool: "q"})
		got := s.values()
		assert.EqualValues(t, 1, got["max{pool.name=p}"])
		assert.EqualValues(t, 2, got["max{pool.name=p#2}"], "the second with this name")
		assert.Contains(t, got, "max{pool.name=q}")
		end()
		require.NoError(t, first.Close())
		got = s.values()
		assert.NotContains(t, got, "max{pool.name=q}", "it was ended")
		assert.NotContains(t, got, "max{pool.name=p}", "it is closed")
		assert.Contains(t, got, "max{pool.name=p#2}")
		require.NoError(t, s.Unregister())
		assert.Empty(t, s.values())
	})
}

// collect collects garbage until freed returns true. The runtime may keep a timer that was
// stopped, or the stack of a goroutine on its way out, for longer than one collection.
func collect(freed func() bool) {
	for range 200 {
		if runtime.GC(); freed() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestWhatHasEndedIsFreed(t *testing.T) {
	s := start(t, otel.Options{})
	pools := make([]weak.Pointer[pool.Pool[*conn]], 100)
	for i := range pools {
		o := s.Observer()
		p, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{Trace: o.Trace(pool.Trace{})})
		require.NoError(t, err)
		end := o.Observe(p)
		require.NoError(t, p.Close())
		if i%2 == 0 {
			end()
		}
		pools[i] = weak.Make(p)
	}
	telemetry := weak.Make(s.Telemetry)
	s.metrics()
	collect(func() bool {
		return !slices.ContainsFunc(pools, func(p weak.Pointer[pool.Pool[*conn]]) bool { return p.Value() != nil })
	})
	for i, p := range pools {
		assert.Nil(t, p.Value(), "pool %d", i)
	}
	require.NotNil(t, telemetry.Value())
	require.NoError(t, s.Unregister())
	s.Telemetry = nil
	collect(func() bool { return telemetry.Value() == nil })
	assert.Nil(t, telemetry.Value())
	assert.Empty(t, s.values(), "the provider still works")
}

func TestAWrongPrefixIsAnError(t *testing.T) {
	_, err := otel.New(otel.Options{Prefix: "1 2", MeterProvider: metric.NewMeterProvider()})
	assert.ErrorContains(t, err, "otel: ")
	assert.ErrorContains(t, err, "1 2.count")
}

// A keyed.Pool counts as one pool, and no attribute has a key or a secret.
func TestKeysAndSecretsAreInNoAttribute(t *testing.T) {
	const secret = "s3cr3t-hunter2"
	synctest.Test(t, func(t *testing.T) {
		s := start(t, otel.Options{UseEvery: 1})
		f, o := drivertest.NewFake(t), s.Observer()
		driver.Register("otel-secret", f)
		f.Always(drivertest.Connect, drivertest.Delay(time.Second))
		mail, err := keyed.Open[string, *conn](func(string) (driver.Connector, error) {
			return driver.OpenConnector("otel-secret", "x://ada:"+secret+"@host/")
		}, keyed.Config[string]{MaxOpen: 5, Group: "mail", PerKey: func(string) pool.Config {
			return pool.Config{Trace: o.Trace(pool.Trace{})}
		}})
		require.NoError(t, err)
		defer mail.Close()
		o.Observe(mail)
		ctx, request := s.tracer.Tracer("test").Start(t.Context(), "request")
		for range 3 {
			require.NoError(t, mail.Do(ctx, "ada@example.org", func(context.Context, *conn) error { return nil }))
		}
		f.Down(errors.New("no route"))
		require.Error(t, mail.Do(ctx, "eve@example.org", func(context.Context, *conn) error { return nil }))
		request.End()
		got := s.values()
		assert.EqualValues(t, 3, got["use_time{pool.name=mail}"])
		assert.EqualValues(t, 1, got["create_time{pool.name=mail}"])
		shown := fmt.Sprint(got)
		for _, span := range s.spans.Ended() {
			shown += fmt.Sprint(span.Name(), span.Attributes(), span.Status(), span.Events())
		}
		for _, hidden := range []string{secret, "ada@", "eve@"} {
			assert.NotContains(t, shown, hidden)
		}
	})
}

// BenchmarkLease measures the cost of UseEvery for a lease of an idle connection.
func BenchmarkLease(b *testing.B) {
	for _, every := range []int{0, 1000, 1} {
		b.Run(fmt.Sprintf("UseEvery=%d", every), func(b *testing.B) {
			o := start(b, otel.Options{UseEvery: every}).Observer()
			p, err := pool.New[phone](dial{}, pool.Config{Trace: o.Trace(pool.Trace{})})
			require.NoError(b, err)
			b.Cleanup(func() { p.Close() })
			o.Observe(p)
			b.ReportAllocs()
			for b.Loop() {
				l, err := p.Acquire(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				l.Release()
			}
		})
	}
}

// BenchmarkCollect reads 1,000 pools with 4 connections each.
func BenchmarkCollect(b *testing.B) {
	s := start(b, otel.Options{})
	f := drivertest.NewFake(b)
	for i := range 1000 {
		p, err := pool.New[*conn](f, pool.Config{Name: fmt.Sprint("pool-", i)})
		require.NoError(b, err)
		require.NoError(b, p.Warm(b.Context(), 4))
		b.Cleanup(func() { p.Close() })
		s.Observer().Observe(p)
	}
	var got metricdata.ResourceMetrics
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, s.reader.Collect(b.Context(), &got))
	}
}
