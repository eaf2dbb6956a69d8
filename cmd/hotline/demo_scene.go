package main

import (
	"crypto/tls"
	"net"
	"net/url"

	"github.com/hotline-go/hotline/internal/testserver"
)

// scene is a protocol in the demo.
type scene struct {
	name    string
	serve   func(net.Listener)
	dsn     func(addr string) string // with a ? but without pool parameters
	request request                  // what a client asks for, on a connection for the DSN
}

// scenes are the rows of the tables. ca is a file with the authority of over,
// which is a server's.
func scenes(over *tls.Config, ca string) ([]scene, error) {
	ping := &testserver.Ping{User: "ada", Password: "secret", Delay: demoDelay, LoginDelay: demoLogin}
	mail, err := newMail("secret")
	if err != nil {
		return nil, err
	}
	mail.Delay, mail.LoginDelay = demoDelay, demoLogin
	dsn := func(before, after string) func(addr string) string {
		return func(addr string) string { return before + "ada:secret@" + addr + after }
	}
	trusting := "?ca=" + url.QueryEscape(ca)
	return []scene{
		{"tcp", ping.Serve, dsn("demo://", "?"), pingOnce},
		{"tls", overTLS(ping.Serve, over), dsn("demos://", trusting), pingOnce},
		{"imaps", overTLS(mail.Serve, over), dsn("imaps://", "/INBOX"+trusting), fetchOnce},
	}, nil
}

// start starts the server of the scene.
func (s scene) start() (*testserver.Server, *target, error) {
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", s.serve)
	if err != nil {
		return nil, nil, err
	}
	t, err := openTarget(s.dsn(server.Addr()))
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return server, t, nil
}
