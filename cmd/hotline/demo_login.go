package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
)

// The user of the demo's servers.
const (
	demoUser     = "ada"
	demoPassword = "secret"
)

// loggingIn returns c with the login and the ping of testserver.Ping.
func loggingIn(c tcp.Config) tcp.Config {
	c.PingBytes, c.PongBytes = "PING\n", "PONG\n"
	c.SkipConnectPing = true // the login already gets an answer
	c.Handshake = func(_ context.Context, c net.Conn) (net.Conn, error) { return c, login(c, demoUser, demoPassword) }
	return c
}

// login logs in on a new connection. The server sends only the answer, so the buffer
// takes no other bytes.
func login(c net.Conn, user, password string) error {
	if _, err := fmt.Fprintf(c, "LOGIN %s %s\n", user, password); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if answer != "OK\n" {
		return driver.Permanent(errors.New("login refused: " + driver.Quote(strings.TrimSpace(answer))))
	}
	return nil
}
