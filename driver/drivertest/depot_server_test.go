package drivertest_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
)

// What a depotServer wants to hear.
const (
	user     = "ada"
	password = "p4ss w0rd"
)

// depotServer is a server of goods in depots. Each request is a line, and so is
// each answer. A connection logs in first; it may select a depot, whose goods
// are then counted.
//
//	LOGIN user password -> OK, or FULL, or DENIED as for all that comes before a login
//	SELECT depot -> OK      SELECTED -> depot      RESET -> OK
//	COUNT item -> number    PING -> PONG           QUIT -> BYE
type depotServer struct{ full atomic.Bool }

// fill makes s full until makeRoom is called.
func (s *depotServer) fill() (makeRoom func()) {
	s.full.Store(true)
	return func() { s.full.Store(false) }
}

// serveDepot serves c as a depotServer that is never full.
func serveDepot(c net.Conn) { new(depotServer).serve(c) }

// serve serves c.
func (s *depotServer) serve(c net.Conn) {
	loggedIn, selected := false, ""
	for lines := bufio.NewScanner(c); lines.Scan(); {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		full := verb == "LOGIN" && s.full.Load()
		if verb == "LOGIN" && !full {
			loggedIn = arg == user+" "+password
		}
		answer := "OK"
		switch {
		case full:
			answer = "FULL"
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
