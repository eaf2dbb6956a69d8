//go:build linux

package prometheus_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/prometheus"
)

// folder has the dashboard and the alert rules.
const folder = "../../pool/prometheus"

type conn = drivertest.FakeConn

func TestAlertRulesAreRightAndTested(t *testing.T) {
	promtool := realserver.Find(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		command := exec.Command(promtool, args...)
		command.Dir = folder
		out, err := command.CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
}

// serve serves the metrics of pools in every kind of trouble, and returns its address.
func serve(t *testing.T) (addr string) {
	collector := prometheus.New()
	open := func(f *drivertest.Fake, cfg pool.Config) *pool.Pool[*conn] {
		p, err := pool.New[*conn](f, cfg)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, p.Close()) })
		collector.Add(p)
		return p
	}
	busy := open(drivertest.NewFake(t), pool.Config{Name: "busy", MaxOpen: 2, MaxWaiters: 3, AcquireTimeout: 10 * time.Millisecond, ValidateAfter: 1, LeakAfter: 50 * time.Millisecond})
	hold(t, busy)
	work(t, 6, func(ctx context.Context) {
		_ = busy.Do(ctx, func(ctx context.Context, _ *conn) error {
			<-time.After(4 * time.Millisecond)
			return driver.ErrBadConn
		})
	})

	f := drivertest.NewFake(t)
	f.Down(errors.New("no route"))
	down := open(f, pool.Config{Name: "down", Backoff: pool.Backoff{Initial: 20 * time.Millisecond, Max: 50 * time.Millisecond}})
	work(t, 1, func(ctx context.Context) { _, _ = down.Acquire(ctx) })

	f = drivertest.NewFake(t)
	f.Room(1, time.Hour)
	full := open(f, pool.Config{Name: "full", MaxOpen: 3})
	hold(t, full)
	work(t, 1, func(ctx context.Context) { _, _ = full.Acquire(ctx) })

	stuck := open(drivertest.NewFake(t), pool.Config{Name: "stuck", MaxOpen: 1, AcquireTimeout: -1})
	hold(t, stuck)
	work(t, 1, func(ctx context.Context) { _, _ = stuck.Acquire(ctx) })

	gate, err := fleet.New(lostStore{}, fleet.Config{Budget: "shared", Limit: 10, Spare: 1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, gate.Close()) })
	open(drivertest.NewFake(t), pool.Config{Name: "shared", Gate: gate})

	registry := prom.NewRegistry()
	registry.MustRegister(collector)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// lostStore is the store of a budget when it can't be reached.
type lostStore struct{}

var errLost = errors.New("no route to the store")

func (lostStore) Read(context.Context, string) (fleet.Ledger, error) { return fleet.Ledger{}, errLost }

func (lostStore) Write(context.Context, string, string, fleet.Entry) (bool, error) {
	return false, errLost
}

// hold leases a connection of p until the test ends.
func hold(t *testing.T, p *pool.Pool[*conn]) {
	l, err := p.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(l.Release)
}

// work calls do in n goroutines, again and again, until the test ends.
func work(t *testing.T, n int, do func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	for range n {
		go func() {
			for ctx.Err() == nil {
				do(ctx)
				<-time.After(time.Millisecond)
			}
			done <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		stop()
		for range n {
			<-done
		}
	})
}

// start runs a Prometheus that scrapes target and has the alert rules. Here, alerts fire
// after a second.
func start(t *testing.T, target string) *realserver.Server {
	rules, err := os.ReadFile(filepath.Join(folder, "alerts.yaml"))
	require.NoError(t, err)
	text := string(rules)
	for _, patience := range []string{"for: 1m", "for: 5m"} {
		require.Contains(t, text, patience)
		text = strings.ReplaceAll(text, patience, "for: 1s")
	}
	return realserver.Start(t, realserver.Program{
		Name: "prometheus", Package: "prometheus", User: "nobody",
		Configure: func(s *realserver.Server) []string {
			s.Write("alerts.yaml", text)
			config := s.Write("prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 250ms, evaluation_interval: 250ms}
rule_files: [alerts.yaml]
scrape_configs:
  - {job_name: program, static_configs: [{targets: ['%s']}]}
`, target))
			return []string{"--config.file=" + config, "--storage.tsdb.path=" + s.Mkdir("data"), "--web.listen-address=" + s.Addr, "--log.level=warn"}
		},
	})
}

// ask returns the answer of the server's API.
func ask[A any](t require.TestingT, s *realserver.Server, path string) (answer A) {
	response, err := http.Get("http://" + s.Addr + "/api/v1/" + path)
	require.NoError(t, err)
	defer response.Body.Close()
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&envelope))
	require.Equal(t, "success", envelope.Status, "%s: %s", path, envelope.Error)
	require.NoError(t, json.Unmarshal(envelope.Data, &answer))
	return answer
}

// vector is the answer to a query.
type vector struct {
	Result []struct {
		Metric map[string]string
		Value  [2]any // when, and a number in quotes
	}
}

// target is a query of a panel.
type target struct{ Expr string }

// dashboard is the part of a dashboard that has queries.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []target
	}
	Templating struct {
		List []struct{ Query any }
	}
}

func TestPrometheusAnswersEveryQueryOfTheDashboard(t *testing.T) {
	s := start(t, serve(t))
	text, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	variables := strings.NewReplacer("$job", ".*", "$pool", ".*", "$__rate_interval", "10s")
	queries := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries++
			query := variables.Replace(target.Expr)
			require.NotContains(t, query, "$")
			require.EventuallyWithT(t, func(t *assert.CollectT) {
				answer := ask[vector](t, s, "query?query="+url.QueryEscape(query))
				assert.NotEmpty(t, answer.Result, "%s: %s", p.Title, query)
				good := 0
				for _, r := range answer.Result {
					if v, err := strconv.ParseFloat(r.Value[1].(string), 64); assert.NoError(t, err) && !math.IsNaN(v) && !math.IsInf(v, 0) {
						good++
					}
				}
				assert.Positive(t, good, "%s: %s: %v", p.Title, query, answer.Result)
			}, 20*time.Second, 100*time.Millisecond)
		}
	}
	assert.Greater(t, queries, 20)
	assert.ElementsMatch(t, []string{"busy", "down", "full", "shared", "stuck"}, ask[[]string](t, s, "label/pool/values?match[]=hotline_pool_max_open_connections"))
}

func TestEveryAlertFires(t *testing.T) {
	s := start(t, serve(t))
	type alerts struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	want := []string{
		"HotlineBudgetStoreFails shared",
		"HotlineCallersFail busy", "HotlineCallersFail down", "HotlineCallersFail full", "HotlineCallersWait stuck",
		"HotlineConnectsFail down", "HotlineDown down", "HotlineLeak busy", "HotlineServerFull full",
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		var firing []string
		for _, a := range ask[alerts](t, s, "alerts").Alerts {
			if a.State == "firing" {
				firing = append(firing, a.Labels["alertname"]+" "+cmp.Or(a.Labels["pool"], a.Labels["budget"]))
			}
		}
		slices.Sort(firing)
		assert.Equal(t, want, firing)
	}, 30*time.Second, 100*time.Millisecond)
}
