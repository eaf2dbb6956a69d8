// Command hotline tries any server that one of the drivers speaks with.
//
//	hotline ping DSN [-n 5]        connect, then make round trips
//	hotline serve tcp [--addr 127.0.0.1:0]
//	                               a PING server to try these on
//
// The driver is the one that is registered under the scheme of the DSN.
//
// The exit code is 0 if all went well, 1 if something failed, and 2 if the
// command line or the DSN is wrong. Whatever is not 0 comes with one line on
// standard error, which begins with "hotline: " and holds no secret of the DSN.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/hotline-go/hotline/drivers/tcp"
	_ "github.com/hotline-go/hotline/drivers/tls"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
