package main

import (
	"context"
	"fmt"

	"github.com/hotline-go/hotline/internal/testserver"
)

// serveCommand is hotline serve, a command per protocol.
type serveCommand struct {
	TCP serveTCPCommand `cmd:"" name:"tcp" help:"Lines over TCP: PING is answered by PONG, ECHO text by the text."`
}

// serveTCPCommand is hotline serve tcp.
type serveTCPCommand struct {
	Addr string `default:"127.0.0.1:0" help:"Where to listen; port 0 is any that is free."`
}

// Run serves until ctx ends, which is no failure.
func (c *serveTCPCommand) Run(ctx context.Context, con console) error {
	ping := new(testserver.Ping)
	server, err := testserver.Start(testserver.TCP, c.Addr, ping.Serve)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, "address  %s\nDSN      tcp://%s?ping=PING%%0A&pong=PONG%%0A\n", server.Addr(), server.Addr())
	<-ctx.Done()
	server.Close()
	stats := server.Stats()
	fmt.Fprintf(con.out, "served   %s requests on %s connections, at most %s at once\n",
		grouped(ping.Requests()), grouped(int64(stats.Accepted)), grouped(int64(stats.Most)))
	return nil
}
