//go:build linux

package fleet_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counter is a server that counts its connections. It answers each line, and hangs up on
// a client that sends nothing for idle. It notices the end of a connection late.
type counter struct {
	addr       string
	idle, late time.Duration

	open, peak atomic.Int64
	answers    atomic.Int64

	mu      sync.Mutex
	workers map[string]int // open connections, by the name of the worker
}

func startCounter(t testing.TB, idle, late time.Duration) *counter {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &counter{addr: ln.Addr().String(), idle: idle, late: late, workers: map[string]int{}}
	var talks sync.WaitGroup
	t.Cleanup(talks.Wait)
	t.Cleanup(func() { ln.Close() })
	talks.Go(func() { // ends when the listener is closed
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := s.open.Add(1)
			for old := s.peak.Load(); n > old && !s.peak.CompareAndSwap(old, n); old = s.peak.Load() {
			}
			talks.Go(func() {
				s.talk(c)
				c.Close()
				time.Sleep(s.late)
				s.open.Add(-1)
			})
		}
	})
	return s
}

// talk answers until the client is gone or silent.
func (s *counter) talk(c net.Conn) {
	worker := ""
	defer func() { s.count(worker, -1) }()
	for in := bufio.NewReader(c); ; {
		_ = c.SetDeadline(time.Now().Add(s.idle))
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if verb, who, _ := strings.Cut(strings.TrimSpace(line), " "); verb == "WORK" {
			if worker == "" {
				worker = who
				s.count(worker, 1)
			}
			s.answers.Add(1)
		}
		if _, err := io.WriteString(c, "PONG\n"); err != nil {
			return
		}
	}
}

// dsn returns the DSN of the server.
func (s *counter) dsn() string { return "tcp://" + s.addr + "?ping=PING%0A&pong=PONG%0A" }

func (s *counter) opened() int { return int(s.open.Load()) }

func (s *counter) count(worker string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[worker] += n
}

// of returns how many open connections a worker has used.
func (s *counter) of(worker string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[worker]
}
