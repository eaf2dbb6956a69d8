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
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/dsn"
)

func init() {
	driver.Register("demo", demoDriver{})
	driver.Register("demos", demoDriver{})
}

// demoDriver speaks with testserver.Ping, on top of the tcp and tls drivers:
// demo://user:password@host:port logs in, and demos://user:password@host:port
// does so over TLS, with the parameters of the tls driver for that.
type demoDriver struct{}

// OpenConnector implements driver.DriverContext.
func (demoDriver) OpenConnector(text string) (driver.Connector, error) {
	u, err := dsn.Parse(text)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(u.User, " \r\n") || strings.ContainsAny(u.Password, "\r\n") {
		return nil, errors.New("demo: user and password: want no spaces in the user, and no line ends")
	}
	var params dsn.Params
	config := tls.Config{Config: tcp.Config{
		Address:   net.JoinHostPort(u.Host, fmt.Sprint(u.Port)),
		PingBytes: "PING\n",
		PongBytes: "PONG\n",
		Handshake: func(_ context.Context, c net.Conn) (net.Conn, error) { return c, login(c, u.User, u.Password) },
	}}
	secure := u.Scheme == "demos"
	if secure {
		config.AddParams(&params)
	}
	if err := params.Apply(u.Params); err != nil {
		return nil, err
	}
	if secure {
		return tls.NewConnector(config)
	}
	return tcp.NewConnector(config.Config)
}

// Open implements driver.Driver.
func (d demoDriver) Open(text string) (driver.Conn, error) {
	c, err := d.OpenConnector(text)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// login logs in on a fresh connection. The server sends nothing but the answer,
// so reading ahead takes nothing from those who come after.
func login(c net.Conn, user, password string) error {
	if _, err := fmt.Fprintf(c, "LOGIN %s %s\n", user, password); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if answer != "OK\n" {
		return driver.Permanent(fmt.Errorf("login refused: %s", strings.TrimSpace(answer)))
	}
	return nil
}
