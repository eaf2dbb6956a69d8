package observe_test

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
	hotlineotel "github.com/hotline-go/hotline/pool/otel"
	hotlineprom "github.com/hotline-go/hotline/pool/prometheus"
	"github.com/hotline-go/hotline/pool/status"
)

// The functions of this file are shown in docs/observe.md, one for each way to see a pool.

// guard asks for the password in the environment.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := os.Getenv("DEBUG_PASSWORD") // if it is not set, nobody gets in
		_, password, _ := r.BasicAuth()
		if want == "" || subtle.ConstantTimeCompare([]byte(password), []byte(want)) != 1 {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func TestTheGuardOfThePageAsksForThePassword(t *testing.T) {
	p, err := pool.Open[net.Conn]("tcp", "tcp://"+nobody(), pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	mux := http.NewServeMux()

	page := status.New(p)
	defer page.Close()
	mux.Handle("/debug/pools", guard(page)) // see "Who may see it"

	for _, test := range []struct {
		set, given string
		want       int
	}{
		{"", "", http.StatusUnauthorized},
		{"swordfish", "", http.StatusUnauthorized},
		{"swordfish", "swordfis", http.StatusUnauthorized},
		{"swordfish", "swordfish", http.StatusOK},
	} {
		t.Setenv("DEBUG_PASSWORD", test.set)
		r := httptest.NewRequest("GET", "/debug/pools", nil)
		r.SetBasicAuth("", test.given)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, r)
		assert.Equal(t, test.want, answer.Code, "password %q, given %q", test.set, test.given)
	}
}

// forPrometheus opens a pool and shows it to Prometheus.
func forPrometheus(dsn string) (*pool.Pool[net.Conn], error) {
	pools := hotlineprom.New() // import hotlineprom "github.com/hotline-go/hotline/pool/prometheus"
	prometheus.MustRegister(pools)

	p, err := pool.Open[net.Conn]("tcp", dsn, pool.Config{Name: "gateway", LeakAfter: time.Minute})
	if err != nil {
		return nil, err
	}
	pools.Add(p)
	return p, nil
}

// forOpenTelemetry opens a pool and shows it to OpenTelemetry.
func forOpenTelemetry(dsn string) (*pool.Pool[net.Conn], error) {
	// import hotlineotel "github.com/hotline-go/hotline/pool/otel"
	telemetry, err := hotlineotel.New(hotlineotel.Options{}) // the global providers, unless Options has others
	if err != nil {
		return nil, err
	}
	observer := telemetry.Observer()
	p, err := pool.Open[net.Conn]("tcp", dsn, pool.Config{Name: "gateway", Trace: observer.Trace(pool.Trace{})})
	if err != nil {
		return nil, err
	}
	observer.Observe(p)
	return p, nil
}

func TestEachWayWorksAlone(t *testing.T) {
	before := prometheus.DefaultRegisterer
	prometheus.DefaultRegisterer = prometheus.NewRegistry()
	defer func() { prometheus.DefaultRegisterer = before }()
	for _, open := range []func(dsn string) (*pool.Pool[net.Conn], error){forPrometheus, forOpenTelemetry} {
		p, err := open("tcp://" + nobody())
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
}

// Connects and closes have level V(1), which slog shows from its level -1 on.
func Example_slog() {
	var out bytes.Buffer
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.Level(-1)})
	log := logr.FromSlogHandler(handler)
	log.V(0).Info("server is full")
	log.V(1).Info("connected")
	log.V(2).Info("ping")
	for line := range bytes.Lines(out.Bytes()) {
		fmt.Printf("%s", line[bytes.Index(line, []byte("level")):])
	}
	// Output:
	// level=INFO msg="server is full"
	// level=DEBUG+3 msg=connected
}
