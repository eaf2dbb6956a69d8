package testserver

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Ping is a server for a line protocol: each line gets one line as its answer. Lines end
// with a newline; a carriage return before it is ignored.
//
//	LOGIN user password   OK, or FULL
//	PING                  PONG
//	ECHO text             text
//	QUIT                  BYE, and the connection is closed
//
// Any other line gets an answer that begins with ERR. After a wrong password or FULL,
// the connection is closed.
//
// The zero Ping needs no login and has no delays. The fields must not be changed while
// it serves.
type Ping struct {
	// User and Password are the login that PING and ECHO require. If User is empty,
	// they require none, and LOGIN always succeeds.
	User, Password string

	// Delay is how long PING and ECHO take, LoginDelay how long LOGIN takes.
	Delay, LoginDelay time.Duration

	requests atomic.Int64
	full     atomic.Bool
}

// SetFull sets whether each LOGIN fails with FULL. Logged-in clients stay.
func (p *Ping) SetFull(full bool) { p.full.Store(full) }

// Requests returns the number of PING and ECHO requests from logged-in clients.
func (p *Ping) Requests() int64 { return p.requests.Load() }

// Serve speaks the protocol with each client until Accept fails; then it cuts delays
// short. It returns when all connections have ended.
func (p *Ping) Serve(ln net.Listener) {
	var talks sync.WaitGroup
	defer talks.Wait()
	stop := make(chan struct{})
	defer close(stop)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		talks.Go(func() { // ends when the connection does
			defer c.Close()
			p.talk(c, stop)
		})
	}
}

// talk serves one client until either side ends the connection.
func (p *Ping) talk(c net.Conn, stop <-chan struct{}) {
	known := p.User == ""
	for in := bufio.NewScanner(c); in.Scan(); {
		reply, delay, last := p.answer(in.Text(), &known)
		if !pause(delay, stop) {
			return
		}
		if _, err := io.WriteString(c, reply+"\n"); err != nil || last {
			return
		}
	}
}

// answer returns the reply to line, how long it takes, and whether it is the last one.
// known says whether the client has logged in.
func (p *Ping) answer(line string, known *bool) (reply string, delay time.Duration, last bool) {
	verb, text, _ := strings.Cut(line, " ")
	switch {
	case verb == "LOGIN" && p.full.Load():
		return "FULL", p.LoginDelay, true
	case verb == "LOGIN":
		*known = p.User == "" || text == p.User+" "+p.Password
		if !*known {
			return "ERR wrong user or password", p.LoginDelay, true
		}
		return "OK", p.LoginDelay, false
	case verb == "QUIT":
		return "BYE", 0, true
	case verb != "PING" && verb != "ECHO":
		return "ERR want LOGIN, PING, ECHO or QUIT", 0, false
	case !*known:
		return "ERR want LOGIN first", 0, false
	}
	p.requests.Add(1)
	if verb == "ECHO" {
		return text, p.Delay, false
	}
	return "PONG", p.Delay, false
}

// pause waits for d. It reports false if stop is closed first.
func pause(d time.Duration, stop <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}
