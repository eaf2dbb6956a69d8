package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-logr/logr"
	"github.com/go-logr/stdr"

	"github.com/hotline-go/hotline/pool/status"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// commandLine has the flags and commands for kong.
type commandLine struct {
	Version kong.VersionFlag `help:"Print the version and exit."`
	Verbose int              `short:"v" type:"counter" help:"Log connects and closes. Use twice to log pings too."`

	Demo  demoCommand  `cmd:"" help:"Show how a pool handles a server crash. Takes 15 seconds and uses only this machine."`
	Ping  pingCommand  `cmd:"" help:"Connect, describe the server, and make round trips."`
	Bench benchCommand `cmd:"" help:"Compare the pool with a connect per request."`
	Serve serveCommand `cmd:"" help:"Run a test server for the other commands."`
	Fleet fleetCommand `cmd:"" help:"Show how processes share the connections of a budget."`
}

// console has the outputs of a command.
type console struct {
	out  io.Writer // results
	err  io.Writer // everything else
	bar  io.Writer // progress, if it is a terminal
	log  logr.Logger
	page *status.Page // shows the pools; nil without --listen
}

// usageError is an error in the command line or in the DSN.
type usageError struct{ error }

// run runs the command with args and returns the exit code. The end of ctx interrupts the
// command.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	err := parseAndRun(ctx, args, out, errOut)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintln(errOut, paint(styled(errOut), red, "hotline:"), strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

func parseAndRun(ctx context.Context, args []string, out, errOut io.Writer) error {
	var c commandLine
	printed := false
	parser := kong.Must(&c, // panics if the structs are wrong
		kong.Name("hotline"),
		kong.Description("database/sql for every protocol: try, measure and watch a pool."),
		kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 80}),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { printed = true }), // kong has printed the help or the version
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if len(args) > 0 && args[0] == "help" {
		args = slices.Concat(args[1:], []string{"--help"})
	}
	parsed, err := parser.Parse(args)
	if printed {
		return nil
	}
	if wrong := new(kong.ParseError); errors.As(err, &wrong) {
		return withHelp(wrong.Context, usageError{errors.New(withoutDSN(err.Error()))})
	}
	con := console{out: styled(out), err: errOut, bar: errOut, log: logr.Discard()}
	if c.Verbose > 0 {
		stdr.SetVerbosity(c.Verbose)
		con.log = stdr.New(log.New(errOut, "", log.Ltime|log.Lmicroseconds))
		con.bar = nil // no progress bar between log lines
	}
	return withHelp(parsed, parsed.Run(con))
}

// withHelp adds to a usageError how to get the help for the command in parsed.
func withHelp(parsed *kong.Context, err error) error {
	if !errors.As(err, new(usageError)) {
		return err
	}
	command := parsed.Model.Node
	if selected := parsed.Selected(); selected != nil {
		command = selected
	}
	return fmt.Errorf("%w; see %s --help", err, command.FullPath())
}

// version returns what --version prints.
func version() string {
	module := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		module = cmp.Or(info.Main.Version, "(devel)")
	}
	return fmt.Sprintf("hotline %s, %s, %s/%s", module, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// withoutDSN cuts off text after the scheme of a DSN, so that a DSN in the wrong place
// does not show its password in a message.
func withoutDSN(text string) string {
	if before, _, found := strings.Cut(text, "://"); found {
		return before + "://…"
	}
	return text
}
