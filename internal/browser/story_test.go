package browser

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/status"
)

// server is a mail server that is sometimes slow or down. It is a driver.Connector.
type server struct{ down atomic.Bool }

var address = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 993}

// Connect implements driver.Connector.
func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	<-time.After(time.Duration(10+rand.IntN(20)) * time.Millisecond)
	if s.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return &conn{s}, nil
}

// conn is a connection to a server.
type conn struct{ server *server }

func (c *conn) Close() error         { return nil }
func (c *conn) RemoteAddr() net.Addr { return address }

// fetch uses a connection for d, like a mail client.
func (c *conn) fetch(d time.Duration) error {
	<-time.After(d)
	if c.server.down.Load() {
		return &net.OpError{Op: "read", Net: "tcp", Addr: address, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return nil
}

// worker fetches mail until done is closed. load sets how busy it is.
func worker(done <-chan struct{}, p *pool.Pool[*conn], load func() (active bool, fetch time.Duration)) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond):
		}
		active, fetch := load()
		if !active {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_ = p.Do(ctx, func(_ context.Context, c *conn) error { return c.fetch(fetch) })
		cancel()
	}
}

// forgetful acquires a connection and does not release it.
func forgetful(t *testing.T, p *pool.Pool[*conn]) pool.Lease[*conn] {
	l, err := p.Acquire(t.Context())
	require.NoError(t, err)
	return l
}

// story runs ten minutes of fake time: mail is fetched, the server is down for 40 seconds,
// two leases are not released in time, and at the end the server is slow. It returns the
// page.
func story(t *testing.T) (page []byte) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		p, err := pool.New[*conn](s, pool.Config{Name: "imaps ada@mail.example.org", MaxOpen: 12, MinIdle: 2, LeakAfter: 30 * time.Second})
		require.NoError(t, err)
		shown := status.New(p)
		began := time.Now()
		done := make(chan struct{})
		for i := range 40 {
			go worker(done, p, func() (bool, time.Duration) { // ends with done
				minutes := time.Since(began).Minutes()
				slow := minutes > 8.6
				return i < 6+int(minutes) || slow, time.Duration(20+rand.IntN(100)+i*map[bool]int{true: 40}[slow]) * time.Millisecond
			})
		}
		<-time.After(4 * time.Minute)
		s.down.Store(true)
		<-time.After(40 * time.Second)
		s.down.Store(false)
		<-time.After(80 * time.Second)
		first := forgetful(t, p)
		<-time.After(time.Minute)
		second := forgetful(t, p)
		<-time.After(20 * time.Second)
		first.Release()
		<-time.After(160*time.Second + 300*time.Millisecond)
		w := httptest.NewRecorder()
		shown.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		page = w.Body.Bytes()
		close(done)
		second.Release()
		shown.Close()
		require.NoError(t, p.Shutdown(t.Context()))
		synctest.Wait()
	})
	return page
}
