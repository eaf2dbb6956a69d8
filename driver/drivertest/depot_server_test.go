package drivertest_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// What the server of serveDepot wants to hear.
const (
	user     = "ada"
	password = "p4ss w0rd"
)

// serveDepot is a server of goods in depots. Each request is a line, and so is
// each answer. A connection logs in first; it may select a depot, whose goods
// are then counted.
//
//	LOGIN user password -> OK, or DENIED as for all that comes before a login
//	SELECT depot -> OK      SELECTED -> depot      RESET -> OK
//	COUNT item -> number    PING -> PONG           QUIT -> BYE
func serveDepot(c net.Conn) {
	loggedIn, selected := false, ""
	for lines := bufio.NewScanner(c); lines.Scan(); {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		if verb == "LOGIN" {
			loggedIn = arg == user+" "+password
		}
		answer := "OK"
		switch {
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
