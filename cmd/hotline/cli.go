package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-logr/logr"
	"github.com/go-logr/stdr"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// commandLine is the flags and commands as kong reads them.
type commandLine struct {
	Verbose int `short:"v" type:"counter" help:"Log connects, and what the pool closes; twice: pings as well."`

	Demo  demoCommand  `cmd:"" help:"Show a pool on a server that crashes, in 15 seconds, on this machine alone."`
	Ping  pingCommand  `cmd:"" help:"Connect, describe the server, and make round trips."`
	Bench benchCommand `cmd:"" help:"Measure the pool against a connect per request."`
	Serve serveCommand `cmd:"" help:"Run a server to try the other commands on."`
}

// console is where a command writes.
type console struct {
	out io.Writer // results
	err io.Writer // progress
	log logr.Logger
}

// usageError is a mistake in the command line or in the DSN.
type usageError struct{ error }

// run is the whole command, from the arguments to the exit code. The end of ctx
// interrupts it.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	err := parseAndRun(ctx, args, out, errOut)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(errOut, "hotline:", strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

func parseAndRun(ctx context.Context, args []string, out, errOut io.Writer) error {
	var c commandLine
	helped := false
	parser := kong.Must(&c, // it panics if the structs are wrong
		kong.Name("hotline"),
		kong.Description("database/sql for every protocol: try, measure and see a pool at work."),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { helped = true }), // --help was there, and has been served
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return usageError{errors.New(withoutDSN(err.Error()) + "; see hotline --help")}
	}
	con := console{out, errOut, logr.Discard()}
	if c.Verbose > 0 {
		stdr.SetVerbosity(c.Verbose)
		con.log = stdr.New(log.New(errOut, "", log.Ltime|log.Lmicroseconds))
		con.err = io.Discard // a progress bar and log lines spoil each other
	}
	return parsed.Run(con)
}

// withoutDSN cuts text where a DSN shows more than its scheme: a DSN in the
// wrong place must not show its password in a message.
func withoutDSN(text string) string {
	if before, _, found := strings.Cut(text, "://"); found {
		return before + "://…"
	}
	return text
}
