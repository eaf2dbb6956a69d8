package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/registry"
	"github.com/hotline-go/hotline/pool"
)

const (
	password = "p4ss/w:rd?"
	token    = "t0k3n&"
)

// loose is a driver that keeps its DSN and hides it only as far as the contract
// requires: its errors do not contain it.
type loose struct{ *drivertest.Fake }

func (d loose) OpenConnector(dsn string) (driver.Connector, error) {
	return looseConnector{DSN: dsn, Fake: d.Fake}, nil
}

type looseConnector struct {
	DSN string
	*drivertest.Fake
}

// plain is a driver that is not a driver.DriverContext.
type plain struct{ fake *drivertest.Fake }

func (d plain) Open(string) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return d.fake.Connect(ctx)
}

// transcript receives everything that the pool shows.
type transcript struct {
	t  *testing.T
	mu sync.Mutex
	n  int
}

// add fails the test if v shows a secret in any format.
func (tr *transcript) add(v any) {
	texts := []string{fmt.Sprint(v)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if data, err := json.Marshal(v); err == nil {
		texts = append(texts, string(data))
	}
	var log strings.Builder
	funcr.NewJSON(func(line string) { log.WriteString(line) }, funcr.Options{}).Info("value", "it", v)
	texts = append(texts, log.String())
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.n++
	for _, text := range texts {
		for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password), "p4ss", token, "t0k3n", fmt.Sprintf("%x", "p4ss")} {
			assert.NotContains(tr.t, text, secret)
		}
	}
}

func TestRule10_NoSecretIsShown(t *testing.T) {
	urlDSN := "fake://user:" + url.QueryEscape(password) + "@db.example:99/x?token=" + url.QueryEscape(token)
	for name, dsn := range map[string]string{
		"url":         urlDSN,
		"mysql":       "user:" + password + "@tcp(db.example:99)/x?token=" + token,
		"no form":     password + " " + token,
		"broken url":  "fake://user:" + password + "@db.example:port/" + token,
		"no port":     "fake://user:" + url.QueryEscape(password) + "@db.example/x?token=" + url.QueryEscape(token),
		"with a name": urlDSN + "&pool_name=depot",
	} {
		for kind, wrap := range map[string]func(*drivertest.Fake) driver.Driver{
			"context": func(f *drivertest.Fake) driver.Driver { return loose{f} },
			"plain":   func(f *drivertest.Fake) driver.Driver { return plain{f} },
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				drivertest.Register(t, "fake", wrap(&drivertest.Fake{}))
				synctest.Test(t, func(t *testing.T) {
					f := drivertest.NewFake(t)
					registry.Replace("fake", wrap(f))
					tr := &transcript{t: t}
					addErrorsOfOpen(tr, dsn)
					addLifeOfPool(tr, f, dsn)
					assert.Greater(t, tr.n, 50)
				})
			})
		}
	}
}

// addErrorsOfOpen makes Open fail in every way and adds the errors to tr.
func addErrorsOfOpen(tr *transcript, dsn string) {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	for _, bad := range []string{
		"pool_max_open=many", "pool_max_open=-1", "pool_maxopen=5", "pool_max_open=1&pool_max_open=2",
		"pool_keepalive=5", "pool_name=%zz", "pool_backoff_factor=0.5", "pool_=1", "pool_min_idle=99",
	} {
		_, err := pool.Open[*conn]("fake", dsn+separator+bad, pool.Config{})
		require.Error(tr.t, err, bad)
		tr.add(err)
	}
	_, err := pool.Open[*conn]("unheard of", dsn, pool.Config{})
	require.Error(tr.t, err)
	tr.add(err)
	_, err = pool.Open[*conn]("fake", dsn, pool.Config{MaxOpen: -1, PingTimeout: -1})
	require.Error(tr.t, err)
	tr.add(err)
}

// tracer returns a Trace that passes all its arguments to see.
func tracer(see func(any)) pool.Trace {
	return pool.Trace{
		Wait: func(ctx context.Context, w pool.WaitStart) (context.Context, func(pool.WaitEnd)) {
			see(w)
			return ctx, func(e pool.WaitEnd) { see(e) }
		},
		Connect: func(ctx context.Context, c pool.ConnectStart) (context.Context, func(pool.ConnectEnd)) {
			see(c)
			return ctx, func(e pool.ConnectEnd) { see(e) }
		},
		Ping: func(ctx context.Context, p pool.PingStart) (context.Context, func(pool.PingEnd)) {
			see(p)
			return ctx, func(e pool.PingEnd) { see(e) }
		},
		Close: func(c pool.CloseInfo) { see(c) },
		Use:   func(u pool.UseInfo) { see(u) },
		Leak:  func(l pool.LeakInfo) { see(l) },
	}
}

// addLifeOfPool makes a pool produce all of its output and adds that to tr.
func addLifeOfPool(tr *transcript, f *drivertest.Fake, dsn string) {
	t := tr.t
	cfg := pool.Config{
		MaxOpen: 1, MaxWaiters: 1, AcquireTimeout: 3 * time.Second, ConnectTimeout: time.Second,
		Logger:  funcr.New(func(prefix, line string) { tr.add(prefix + line) }, funcr.Options{Verbosity: 9}),
		OnClose: func(_ driver.Conn, why error) { tr.add(why) },
		Trace:   tracer(tr.add), LeakAfter: 5 * time.Second,
	}
	p, err := pool.Open[*conn]("fake", dsn, cfg)
	require.NoError(t, err)
	acquire := func(ctx context.Context) pool.Lease[*conn] {
		l, err := p.Acquire(ctx)
		if err != nil {
			var e *pool.AcquireError
			require.ErrorAs(t, err, &e)
			tr.add(err)
			tr.add(*e)
		}
		return l
	}
	addState := func() {
		tr.add(p)
		tr.add(struct{ Exported *pool.Pool[*conn] }{p})
		tr.add(p.Stats())
		tr.add(p.Snapshot())
		tr.add(p.Holders())
		tr.add(profileText(t))
	}

	addState()
	for _, step := range []drivertest.Step{
		drivertest.Fail(errScripted), drivertest.Panic("scripted panic"), drivertest.Goexit, drivertest.Hang, stall(2 * time.Second),
	} {
		f.Next(drivertest.Connect, 1, step)
		acquire(t.Context())
		advance(10 * time.Second)
	}
	for _, op := range []drivertest.Op{drivertest.Ping, drivertest.ResetSession, drivertest.Close} {
		for _, step := range []drivertest.Step{drivertest.Fail(errScripted), drivertest.Panic("scripted panic"), drivertest.Hang} {
			acquire(t.Context()).Release()
			advance(10 * time.Second)
			f.Next(op, 1, step)
			tr.add(apart(func() {
				l := acquire(t.Context())
				l.Discard(nil)
			}))
			tr.add(p.Ping(t.Context()))
			advance(10 * time.Second)
		}
	}

	l := acquire(t.Context())
	advance(10 * time.Second) // leaked
	addState()
	l.Release()
	l = acquire(t.Context())
	addState() // now with a stack
	tr.add(l)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too slow"))
	defer cancel()
	acquire(ctx)
	waiting := start(t.Context(), p)
	acquire(t.Context()) // exceeds MaxWaiters
	advance(10 * time.Second)
	tr.add(waiting.err)
	l.Release()
	tr.add(apart(func() { l.Conn() }))
	tr.add(apart(func() { l.Hijack() }))
	tr.add(p.Resize(-1))
	f.Always(drivertest.Connect, drivertest.Fail(driver.Permanent(errScripted)))
	p.Reset()
	synctest.Wait()
	acquire(t.Context())
	addState()

	f.Always(drivertest.Connect, nil)
	p.Reset()
	acquire(t.Context())
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	f.Always(drivertest.Close, stall(20*time.Second))
	err = p.Shutdown(ctx)
	require.Error(t, err)
	tr.add(err)
	acquire(t.Context())
	tr.add(p.Ready(t.Context()))
	addState()
	advance(20 * time.Second)
	tr.add(struct{ unexported *pool.Pool[*conn] }{p}) // only once all is quiet, because fmt reads the fields without a lock
}
