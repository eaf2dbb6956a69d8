//go:build linux

package endpoints_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/drivers/imap"
	_ "github.com/hotline-go/hotline/drivers/tcp"
	_ "github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// connectTimeout is the ConnectTimeout of pools on real servers. The share of an
// endpoint is a quarter of it. That is far more than its head start of a second,
// because the machine may be busy.
const connectTimeout = 10 * time.Second

// realFaults are the faults that a PING server, a process at addr, can have.
var realFaults = []struct {
	name  string
	apply func(t testing.TB, addr string, process *os.Process)
}{
	{"killed", func(t testing.TB, _ string, process *os.Process) { kill(t, process) }},
	{"stopped", func(t testing.TB, _ string, process *os.Process) {
		require.NoError(t, process.Signal(syscall.SIGSTOP))
		var status syscall.WaitStatus
		_, err := syscall.Wait4(process.Pid, &status, syscall.WUNTRACED, nil)
		require.NoError(t, err)
		require.True(t, status.Stopped())
	}},
	{"a black hole", func(t testing.TB, addr string, process *os.Process) {
		kill(t, process)
		blackHole(t, addr)
	}},
	{"accepts and hangs", func(t testing.TB, addr string, process *os.Process) {
		kill(t, process)
		answer(t, addr, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	}},
	{"accepts and closes", func(t testing.TB, addr string, process *os.Process) {
		kill(t, process)
		answer(t, addr, func(net.Conn) {})
	}},
}

// kill ends process, and waits until its port is free.
func kill(t testing.TB, process *os.Process) {
	require.NoError(t, process.Kill())
	_, _ = process.Wait()
}

// answer serves addr with handle, which returns when its connection ends.
func answer(t testing.TB, addr string, handle func(net.Conn)) {
	s, err := testserver.Start(testserver.TCP, addr, func(l net.Listener) {
		var all sync.WaitGroup
		defer all.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { // ends with c
				defer c.Close()
				handle(c)
			})
		}
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
}

// blackHole listens on addr and has no room for a connection: the kernel drops all
// packets, and no dial ends.
func blackHole(t testing.TB, addr string) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	to, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}))
	require.NoError(t, syscall.Listen(fd, 0))
	for range 3 { // fill the queue
		if c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
}

// callers counts calls, and keeps their errors.
type callers struct {
	mu      sync.Mutex // guards the fields below
	calls   int
	slowest time.Duration
	errs    []error
}

// call makes one call with do, for up to 15 seconds. It repeats a call that fails,
// because PING does no harm.
func (all *callers) call(ctx context.Context, do func(context.Context) error) {
	again := retry.Policy{MaxAttempts: -1, Interval: time.Millisecond, MaxInterval: 10 * time.Millisecond, PerAttempt: 500 * time.Millisecond, RetryIf: retry.Always}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	err := again.Do(ctx, do)
	all.mu.Lock()
	defer all.mu.Unlock()
	all.calls++
	all.slowest = max(all.slowest, time.Since(began))
	if err != nil {
		all.errs = append(all.errs, err)
	}
}

// String returns figures for docs/endpoints.md.
func (all *callers) String() string {
	return fmt.Sprintf("%d calls, slowest %v", all.calls, all.slowest.Round(time.Millisecond))
}

// callAll has 8 callers call do. It applies fault meanwhile, and returns when each
// caller has made 20 more calls.
func callAll[C any](ctx context.Context, p *pool.Pool[C], do func(context.Context, C) error, fault func()) *callers {
	var all callers
	var wg sync.WaitGroup
	var applied atomic.Bool
	busy := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for after := 0; after < 20; {
				if applied.Load() {
					after++
				}
				all.call(ctx, func(ctx context.Context) error { return p.Do(ctx, do) })
				select {
				case busy <- struct{}{}:
				default:
				}
			}
		})
	}
	defer wg.Wait()
	defer applied.Store(true)
	for range 8 {
		<-busy
	}
	fault()
	return &all
}

// pong asks for a PONG.
func pong(_ context.Context, c net.Conn) error {
	if _, err := io.WriteString(c, "PING\n"); err != nil {
		return err
	}
	answer := make([]byte, 5)
	_, err := io.ReadFull(c, answer)
	return err
}

// openReal returns a pool for the hosts, a DSN without its parameters.
func openReal[C any](t testing.TB, name, hosts, params string, cfg pool.Config) *pool.Pool[C] {
	cfg.ConnectTimeout, cfg.MaxOpen, cfg.PingTimeout = connectTimeout, 8, 200*time.Millisecond
	p, err := pool.Open[C](name, name+"://"+hosts+params, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

const pingPong = "?ping=PING%0A&pong=PONG%0A"

// No caller sees an error while one endpoint works, no matter which fault the other
// endpoints have, and whether they have it from the start or get it under load.
func TestCallersSeeNoErrorWhileOneRealServerIsWell(t *testing.T) {
	for scheme, faults := range map[string]int{"tcp": len(realFaults), "tls": 2} { // the others are like tcp
		for _, fault := range realFaults[:faults] {
			t.Run(scheme+" "+fault.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				one, two, well := startProcess(t, scheme), startProcess(t, scheme), startProcess(t, scheme)
				p := openProcesses(t, scheme, two, well)
				require.NoError(t, p.Warm(ctx, 8))
				sudden := callAll(ctx, p, pong, func() { fault.apply(t, two.addr, two.Process) })
				assert.Empty(t, sudden.errs)
				ofTwo := firstCall(ctx, t, openProcesses(t, scheme, two, well))
				fault.apply(t, one.addr, one.Process)
				ofThree := firstCall(ctx, t, openProcesses(t, scheme, one, two, well))
				t.Logf("first call, the first of two servers bad: %v, two of three bad: %v; under load: %v", ofTwo, ofThree, sudden)
			})
		}
	}
}

// firstCall returns how long the first call of p takes. The call must succeed at its
// first attempt.
func firstCall(ctx context.Context, t testing.TB, p *pool.Pool[net.Conn]) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, p.Do(ctx, pong))
	assert.Zero(t, p.Stats().ConnectFailures)
	return time.Since(began).Round(time.Millisecond)
}

// openProcesses returns a pool of the PING servers.
func openProcesses(t testing.TB, scheme string, servers ...process) *pool.Pool[net.Conn] {
	var hosts []string
	var cas []byte
	for _, s := range servers {
		hosts, cas = append(hosts, s.addr), append(cas, s.ca...)
	}
	params := pingPong
	if scheme == "tls" {
		params += "&ca=" + writeFile(t, cas)
	}
	return openReal[net.Conn](t, scheme, strings.Join(hosts, ","), params, pool.Config{})
}

// writeFile returns the path of a new file with content.
func writeFile(t testing.TB, content []byte) string {
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}

// One server has a certificate from an unknown authority, or for another name.
func TestOneServerWithAWrongCertificate(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	unknown, well := startProcess(t, "tls"), startProcess(t, "tls")
	unknown.ca = nil
	ca := testcert.NewCA()
	elsewhere := process{addr: servePing(t, ca.ServerConfig("elsewhere.test")), ca: ca.PEM()}
	for name, wrong := range map[string]process{"unknown authority": unknown, "another name": elsewhere} {
		p := openProcesses(t, "tls", wrong, well)
		first := firstCall(ctx, t, p)
		seen := callAll(ctx, p, pong, func() {})
		assert.Empty(t, seen.errs, name)
		t.Logf("%s: first call %v, then %v", name, first, seen)
	}
}

// The addresses of a name are dialed, and the certificate is checked for the name. For
// an SRV record that is the name of its host, unless the driver has the domain as
// server_name.
func TestACertificateIsCheckedByTheNameWhoseAddressesAreDialed(t *testing.T) {
	ca := testcert.NewCA()
	file := writeFile(t, ca.PEM())
	_, port, err := net.SplitHostPort(servePing(t, ca.ServerConfig("app.test")))
	require.NoError(t, err)
	var n names
	n.set("app.test", "127.0.0.1")
	open := func(host string) (driver.Conn, error) {
		c, err := endpoints.New(endpoints.Set{
			Addrs: []string{host + ":" + port}, Resolver: &n,
			Connector: func(addr string) (driver.Connector, error) {
				return driver.OpenConnector("tls", "tls://"+addr+pingPong+"&ca="+file)
			},
		})
		require.NoError(t, err)
		return c.Connect(t.Context())
	}
	c, err := open("app.test")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = open("127.0.0.1")
	assert.ErrorContains(t, err, "certificate")

	to, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	n.set("one.test", "127.0.0.1")
	n.records = map[string][]*net.SRV{"_app._tcp.app.test": {{Target: "one.test.", Port: uint16(to)}}}
	for param, want := range map[string]string{"": "certificate", "&server_name=app.test": ""} {
		c, err := endpoints.New(endpoints.Set{
			Addrs: []string{"app.test"}, SRV: "app", Resolver: &n,
			Connector: func(addr string) (driver.Connector, error) {
				return driver.OpenConnector("tls", "tls://"+addr+pingPong+"&ca="+file+param)
			},
		})
		require.NoError(t, err)
		conn, err := c.Connect(t.Context())
		if want != "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}

// servePing serves PING over TLS until the test ends.
func servePing(t testing.TB, config *tls.Config) (addr string) {
	listen := func(addr string) (net.Listener, error) {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l = tls.NewListener(l, config)
		}
		return l, err
	}
	s, err := testserver.Start(listen, "127.0.0.1:0", new(testserver.Ping).Serve)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s.Addr()
}

// One mail server rejects the password, asks for a pause, or is full.
func TestOneMailServerThatDoesNotLetUsIn(t *testing.T) {
	start := func(password string, most int) (*testserver.IMAP, string) {
		mail := testserver.NewIMAP("ada", password)
		mail.MaxLogins = most
		s, err := testserver.Start(testserver.TCP, "127.0.0.1:0", mail.Serve)
		require.NoError(t, err)
		t.Cleanup(s.Close)
		return mail, s.Addr()
	}
	_, well := start("secret", 0)
	for name, begin := range map[string]func() (addr string){
		"wrong password": func() string { _, addr := start("other", 0); return addr },
		"throttled": func() string {
			mail, addr := start("secret", 0)
			mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: "THROTTLED", Text: "slow down"})
			return addr
		},
		"full": func() string { _, addr := start("secret", 2); return addr },
	} {
		p := openReal[*imap.Conn](t, "imap", "ada:secret@"+begin()+","+well, "?tls=none", pool.Config{})
		began := time.Now()
		require.NoError(t, p.Warm(t.Context(), 8), name)
		warm := time.Since(began).Round(time.Millisecond)
		seen := callAll(t.Context(), p, noop, func() {})
		assert.Empty(t, seen.errs, name)
		assert.Equal(t, 8, p.Stats().Limit, name)
		t.Logf("%s: 8 connections after %v, then %v", name, warm, seen)
	}
}
