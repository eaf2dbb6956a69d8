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

// Ping is a protocol of lines, each answered by one line. Lines end with a
// newline; a carriage return before it is ignored.
//
//	LOGIN user password   OK, or FULL
//	PING                  PONG
//	ECHO text             text
//	QUIT                  BYE, and the connection is closed
//
// Whatever else comes in is answered by a line that begins with ERR, and after
// a wrong password or FULL the connection is closed.
//
// The zero Ping serves everybody at once. The fields must not be changed while
// it serves.
type Ping struct {
	// User and Password are what PING and ECHO want a LOGIN with. An empty
	// User means that they want none, and that LOGIN always succeeds.
	User, Password string

	// Delay is how long each PING and ECHO takes, LoginDelay each LOGIN.
	Delay, LoginDelay time.Duration

	requests atomic.Int64
	full     atomic.Bool
}

// SetFull makes each LOGIN fail with FULL, or ends that. Those who are logged
// in stay.
func (p *Ping) SetFull(full bool) { p.full.Store(full) }

// Requests returns how many times PING and ECHO were asked for by somebody who
// may.
func (p *Ping) Requests() int64 { return p.requests.Load() }

// Serve speaks the protocol with whoever connects, until Accept fails; it then
// cuts the delays short. It returns when all connections have ended.
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

// talk speaks with one client, until either of them has had enough.
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

// answer returns the reply to line, what it takes, and whether it is the last.
// known is whether the client has logged in.
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

// pause waits for d, and reports false if stop is closed before that.
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
