// Command hotline tries, measures and shows the pool on any server that one of
// its drivers speaks with.
//
//	hotline demo                   a pool on a server that crashes, in 15 seconds
//	hotline ping DSN [-n 5]        connect, describe the server, make round trips
//	hotline bench DSN [-c 64] [-d 10s] [--json] [--pool-only]
//	                               the pool against a connect per request
//	hotline serve tcp|tls|imap [--addr 127.0.0.1:0]
//	                               a server to try these on
//
// The driver is the one that is registered under the scheme of the DSN.
// Parameters of the DSN that begin with pool_ set up the pool.
//
// The exit code is 0 if all went well, 1 if something failed, and 2 if the
// command line or the DSN is wrong. Whatever is not 0 comes with one line on
// standard error, which begins with "hotline: " and holds no secret of the DSN.
// Progress is shown on standard error if that is a terminal.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/hotline-go/hotline/drivers/imap"
	_ "github.com/hotline-go/hotline/drivers/tcp"
	_ "github.com/hotline-go/hotline/drivers/tls"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
