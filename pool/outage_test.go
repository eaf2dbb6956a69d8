package pool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testclock"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/pool"
)

// These tests run a server in a process of its own: unlike a goroutine, it can be killed
// and stopped.

// serverAddress is the environment variable that makes the test binary run as such
// a server. Its value is the address to listen on.
const serverAddress = "HOTLINE_POOL_TEST_SERVER"

// TestServerProcess runs the server in its process, and is skipped in others. It writes
// its address and then, for each line of input, the largest number of connections that
// were open at once. It exits at the end of its input.
func TestServerProcess(t *testing.T) {
	address := os.Getenv(serverAddress)
	if address == "" {
		t.Skip("runs as part of other tests")
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var s lineServer
	go s.serve(ln)
	fmt.Println(ln.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		s.mu.Lock()
		fmt.Println(s.most)
		s.mu.Unlock()
	}
	os.Exit(0)
}

// lineServer answers PING with PONG. After any other line it closes the connection.
type lineServer struct {
	mu         sync.Mutex
	open, most int
}

func (s *lineServer) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.most = max(s.most, s.open)
}

func (s *lineServer) serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s.count(1)
		go func() {
			for in := bufio.NewScanner(c); in.Scan() && in.Text() == "PING"; {
				io.WriteString(c, "PONG\n")
			}
			s.count(-1) // before the client can see the close
			c.Close()
		}()
	}
}

// server is the test's side of a server process.
type server struct {
	address string
	process *exec.Cmd
	in      io.Writer
	out     *bufio.Scanner
}

// startServer starts a server at the address, which is that of the previous server or
// one of package testport. The server is killed when t ends, if not before.
func startServer(t *testing.T, address string) *server {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	s := &server{process: exec.Command(binary, "-test.run=^TestServerProcess$")}
	s.process.Env = append(os.Environ(), serverAddress+"="+address)
	in, err := s.process.StdinPipe()
	require.NoError(t, err)
	out, err := s.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	t.Cleanup(s.kill)
	s.in, s.out = in, bufio.NewScanner(out)
	s.address = s.line(t)
	_, _, err = net.SplitHostPort(s.address)
	require.NoError(t, err, "the server can't listen: %s", s.address)
	return s
}

func (s *server) line(t *testing.T) string {
	t.Helper()
	require.True(t, s.out.Scan(), "the server has ended: %v", s.out.Err())
	return s.out.Text()
}

// most asks the server for the largest number of connections that were open at once.
func (s *server) most(t *testing.T) int {
	t.Helper()
	_, err := io.WriteString(s.in, "most\n")
	require.NoError(t, err)
	n, err := strconv.Atoi(s.line(t))
	require.NoError(t, err)
	return n
}

// kill ends the server as a crash would. A second kill does nothing.
func (s *server) kill() {
	s.process.Process.Kill()
	s.process.Wait()
}

// lineDriver connects to a lineServer. If it greets, Connect makes a round trip.
type lineDriver struct {
	address  string
	greets   bool
	farewell time.Duration // how long Close waits for the server to hang up
}

func (d *lineDriver) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	l := &lineConn{c, d.farewell}
	if d.greets {
		if err := l.Ping(ctx); err != nil {
			c.Close()
			return nil, err
		}
	}
	return l, nil
}

type lineConn struct {
	net.Conn
	farewell time.Duration
}

// Ping makes a round trip.
func (c *lineConn) Ping(ctx context.Context) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.SetDeadline(time.Unix(1, 0))
		close(cut)
	})
	defer func() {
		if !stop() { // the end of ctx must not affect the next user
			<-cut
			c.SetDeadline(time.Time{})
		}
	}()
	if _, err := io.WriteString(c, "PING\n"); err != nil {
		return err
	}
	reply := make([]byte, len("PONG\n"))
	if _, err := io.ReadFull(c, reply); err != nil {
		return errors.Join(err, ctx.Err())
	}
	if string(reply) != "PONG\n" {
		return fmt.Errorf("PING was answered by %q", reply)
	}
	return nil
}

// Close says goodbye and waits for the server to hang up, so that the server stops
// counting the connection before the pool does.
func (c *lineConn) Close() error {
	c.SetDeadline(time.Now().Add(c.farewell))
	if _, err := io.WriteString(c, "QUIT\n"); err == nil {
		io.Copy(io.Discard, c.Conn)
	}
	return c.Conn.Close()
}

// users starts n users of p. Each makes one request after another until stop is called.
// stop waits for them.
func users(p *pool.Pool[*lineConn], n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for pace := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-pace.C {
				p.Do(ctx, func(ctx context.Context, c *lineConn) error { return c.Ping(ctx) })
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// eventually waits until background work of the pool and the server has made ok return
// true.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, within, time.Millisecond, what)
}

// wantAllLive fails t unless n connections can be acquired together and all of them work.
func wantAllLive(t *testing.T, p *pool.Pool[*lineConn], n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for i := range n {
		l, err := p.Acquire(ctx)
		require.NoError(t, err, "connection %d of %d", i+1, n)
		defer l.Release()
		assert.NoError(t, l.Conn().Ping(ctx))
	}
	_, ok := try(p)
	assert.False(t, ok)
}

// patience is how much longer these tests may take on a busy machine.
const patience = 500 * time.Millisecond

func TestServerIsKilledAndRestartedUnderLoad(t *testing.T) { t.Parallel(); outage(t, 8) }
func TestServerIsKilledAndRestartedAtRest(t *testing.T)    { t.Parallel(); outage(t, 0) }

// outage kills and restarts a server three times while n users use it.
func outage(t *testing.T, n int) {
	const maxBackoff = 200 * time.Millisecond
	s := startServer(t, testport.Reserve(t))
	p := open[*lineConn](t, &lineDriver{s.address, true, 5 * time.Second}, pool.Config{
		MaxOpen: 4, MinIdle: 4, KeepAlive: 50 * time.Millisecond,
		Backoff: pool.Backoff{Initial: 20 * time.Millisecond, Max: maxBackoff},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, p.Ready(ctx))
	stop := users(p, n)
	defer stop()

	clock := testclock.Start(t)
	var down time.Duration
	for range 3 {
		assert.LessOrEqual(t, s.most(t), 4)
		killed := time.Now()
		s.kill()
		eventually(t, 5*time.Second, "the dead connections are found", func() bool { return p.Stats().Open == 0 })
		failed := p.Stats().ConnectFailures
		eventually(t, 5*time.Second, "the pool tries to connect", func() bool { return p.Stats().ConnectFailures > failed+4 })

		s = startServer(t, s.address)
		clock.Await(t, maxBackoff*6/5+patience, "MinIdle is back", func() bool { return p.Stats().Open == 4 })
		down += time.Since(killed)
	}
	stop()
	wantAllLive(t, p, 4)
	assert.LessOrEqual(t, s.most(t), 4)
	perOutage := int64(10) // until the backoff has grown to its maximum
	assert.Less(t, p.Stats().ConnectFailures, 3*perOutage+int64(down/(maxBackoff*4/5)), "one backoff for all")
}
