package drivertest_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
)

// The login that a depotServer accepts.
const (
	user     = "ada"
	password = "p4ss w0rd"
)

// depotServer is a server that counts goods in depots. Each request is a line, and
// so is each answer. A client logs in first; then it may select a depot and count
// its goods. Before the login, every request is DENIED.
//
//	LOGIN user password -> OK, or DENIED, or FULL, or other words
//	SELECT depot -> OK      SELECTED -> depot      RESET -> OK
//	COUNT item -> number    PING -> PONG           QUIT -> BYE
type depotServer struct{ refusal atomic.Value } // a string; if empty, logins succeed

// fill makes s full until makeRoom is called.
func (s *depotServer) fill() (makeRoom func()) { return s.refuse("FULL") }

// refuse makes s answer each login with words until accept is called.
func (s *depotServer) refuse(words string) (accept func()) {
	s.refusal.Store(words)
	return func() { s.refusal.Store("") }
}

// serveDepot serves c as a depotServer that is never full.
func serveDepot(c net.Conn) { new(depotServer).serve(c) }

// serve serves c.
func (s *depotServer) serve(c net.Conn) {
	loggedIn, selected := false, ""
	for lines := bufio.NewScanner(c); lines.Scan(); {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		refusal, _ := s.refusal.Load().(string)
		refused := verb == "LOGIN" && refusal != ""
		if verb == "LOGIN" && !refused {
			loggedIn = arg == user+" "+password
		}
		answer := "OK"
		switch {
		case refused:
			answer = refusal
		case !loggedIn:
			answer = "DENIED"
		case verb == "PING":
			answer = "PONG"
		case verb == "COUNT":
			answer = "3"
		case verb == "SELECT":
			selected = arg
		case verb == "SELECTED":
			answer = selected
		case verb == "RESET":
			selected = ""
		case verb == "QUIT":
			answer = "BYE"
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}
