// Command hotline tests servers, and shows and measures how a pool works with them.
//
//	hotline demo [--for 15s] [--listen HOST:PORT]
//	                               Show how a pool handles a server crash.
//	hotline ping DSN [-n 5] [--json]
//	                               Connect, describe the server, make round trips.
//	hotline bench DSN [-c 64] [-d 10s] [--json] [--pool-only] [--listen HOST:PORT]
//	                               Compare the pool with a connect per request.
//	hotline serve tcp|tls|imap [--addr 127.0.0.1:0]
//	                               Run a test server for the other commands.
//	hotline fleet DSN [--watch]    Show how processes share a budget.
//	hotline help [COMMAND]         Print the usage.
//	hotline --version              Print the version.
//
// The scheme of the DSN is the name of the driver. Parameters of the DSN that begin with
// pool_ configure the pool.
//
// With --listen, demo and bench serve a page that shows the pool at work, and print its
// address.
//
// The exit code is 0 for success, 1 for a failure, and 2 if the command line or the DSN
// is wrong. On failure, standard error gets one line, which begins with "hotline: " and
// contains no secret of the DSN. If standard error is a terminal, it shows progress.
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
