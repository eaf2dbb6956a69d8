package main

import (
	"context"
	"errors"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestUsageErrorsExitWith2AndOneLine(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"no command", "", `expected one of "demo", "ping", "bench", "serve", "fleet"; see hotline --help`},
		{"an unknown command", "pong", "unexpected argument pong"},
		{"an unknown flag", "ping x://y --color", "unknown flag --color"},
		{"ping without DSN", "ping", `expected "<DSN>"`},
		{"ping -n 0", "ping x://y -n 0", "ping: --count: want at least 1"},
		{"ping -n as text", "ping x://y -n five", "--count: expected a valid 64 bit int"},
		{"ping without time", "ping x://y -t 0s", "ping: --timeout: want more than 0"},
		{"bench without DSN", "bench", `expected "<DSN>"`},
		{"bench without workers", "bench x://y -c 0", "bench: --workers: want 1 to 10000"},
		{"bench with too many workers", "bench x://y -c 10001", "bench: --workers: want 1 to 10000"},
		{"bench without time", "bench x://y -d 0s", "bench: --duration: want more than 0"},
		{"bench with a number for a time", "bench x://y -d 10", "--duration: expected duration"},
		{"bench with a negative timeout", "bench x://y --timeout=-1s", "bench: --timeout: want more than 0"},
		{"serve without protocol", "serve", `expected one of "tcp", "tls", "imap"`},
		{"serve with an unknown protocol", "serve smtp", "unexpected argument smtp"},
		{"serve tcp with an unknown flag", "serve tcp --color", "unknown flag --color; see hotline serve tcp --help"},
		{"fleet without budget", "fleet", `expected "<DSN>"`},
		{"fleet without time", "fleet redis://host/depot -t 0s", "fleet: --timeout: want more than 0"},
		{"a budget without scheme", "fleet depot", "the budget has no scheme"},
		{"a demo in no time", "demo --for 10ms", "demo: --for: want at least 1s"},
		{"a DSN without scheme", "ping 127.0.0.1:2485", "the DSN has no scheme; want a URL such as tcp://127.0.0.1:2485"},
		{"an unknown driver", "ping gopher://host", `no driver for "gopher"; the drivers are ` + strings.Join(driver.Drivers(), ", ")},
		{"an unknown driver in bench", "bench gopher://host", `no driver for "gopher"; the drivers are ` + strings.Join(driver.Drivers(), ", ")},
		{"a wrong DSN", "ping tcp://host:port", "dsn: port: want a number from 1 to 65535"},
		{"a wrong DSN in bench", "bench tcp://host:1?pingg=a", "dsn: unknown parameter pingg; the nearest known one is ping"},
		{"several faults in a DSN", "ping tcp://host:1?ping=a&nodelay=maybe", "dsn: parameter nodelay"},
		{"a wrong escape in a pool parameter", "ping tcp://host:1?pool_max_open=%zz", "pool: dsn: parameter pool_max_open: want two hex digits"},
		{"an unknown pool parameter", "ping tcp://host:1?pool_max_opem=3", "pool: dsn: unknown parameter pool_max_opem; the nearest known one is pool_max_open; see hotline ping --help\n"},
		{"a pool parameter without meaning", "ping tcp://host:1?pool_keepalive=often", "pool: dsn: parameter pool_keepalive"},
		{"pool parameters that don't go with what the driver advises", "bench imaps://ada:pw@host?pool_min_idle=5", "pool: MinIdle is 5; want at most MaxOpen"},
		{"an unknown pool parameter in bench", "bench tcp://host:1?ping=a&pong=b&pool_size=3", "pool: dsn: unknown parameter pool_size"},
		{"pool parameters that don't go together", "bench tcp://host:1?ping=a&pong=b&pool_min_idle=11", "pool: MinIdle is 11; want at most MaxOpen"},
		{"bench without round trips", "bench tcp://host:1", "bench needs round trips; add ping= and pong= to the DSN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := hotline(t.Context(), strings.Fields(tc.args)...)
			r.wantFailure(t, exitUsage, tc.want)
			assert.Regexp(t, `; see hotline( demo| ping| bench| serve( tcp)?| fleet)? --help\n$`, r.err)
			command, _, _ := strings.Cut(tc.args, " ")
			assert.Equal(t, command != "" && command != "pong", strings.Contains(r.err, "; see hotline "+command+" "), r.err)
			assert.Empty(t, r.out)
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--help", "demo"},
		{"help", "demo"},
		{"help serve tcp", "--addr"},
		{"demo --help", "--listen=HOST:PORT"},
		{"ping --help", "<DSN>"},
		{"bench --help", "--pool-only"},
		{"serve tcp --help", "--addr"},
		{"fleet --help", "--watch"},
	} {
		r := hotline(t.Context(), strings.Fields(tc.args)...)
		r.wantSuccess(t)
		assert.Contains(t, r.out, "Usage: hotline", tc.args)
		assert.Contains(t, r.out, tc.want, tc.args)
		wantNarrow(t, r.out)
	}
}

// wantNarrow checks that text fits on a terminal of 80 columns.
func wantNarrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}

// A shell would take the ? and & of a DSN for its own.
func TestDSNsToCopyAreQuoted(t *testing.T) {
	var text strings.Builder
	for _, args := range []string{"help ping", "help bench", "help fleet", "bench tcp://host:1", "fleet depot"} {
		r := hotline(t.Context(), strings.Fields(args)...)
		text.WriteString(r.out + r.err)
	}
	found := regexp.MustCompile(`\S+://\S+\?[^\s;]+`).FindAllString(text.String(), -1)
	assert.Len(t, found, 4)
	for _, dsn := range found {
		assert.Regexp(t, `^'.*'$`, dsn)
	}
}

func TestTheDocumentNamesEveryCommandAndFlag(t *testing.T) {
	text, err := os.ReadFile("../../docs/command.md")
	require.NoError(t, err)
	parser, err := kong.New(&commandLine{}, kong.Vars{"version": ""})
	require.NoError(t, err)
	for _, command := range parser.Model.Leaves(true) {
		assert.Contains(t, string(text), command.Name)
		for _, group := range command.AllFlags(true) {
			for _, f := range group {
				assert.True(t, f.Name == "help" || strings.Contains(string(text), "--"+f.Name), "%s --%s", command.Name, f.Name)
			}
		}
	}
}

func TestVersionNamesTheBuild(t *testing.T) {
	r := hotline(t.Context(), "--version")
	r.wantSuccess(t)
	assert.Regexp(t, `^hotline \S+, go1\S*.*, `+runtime.GOOS+"/"+runtime.GOARCH+`\n$`, r.out)
}

// Whatever is wrong with the command line, no message shows the password.
func TestNoSecretOfADSNIsPrinted(t *testing.T) {
	mail, _ := serve(t, testserver.NewIMAP("ada", "right").Serve)
	for _, args := range [][]string{
		{"imaps://ada:s3cret@host"},
		{"help", "imaps://ada:s3cret@host"},
		{"ping", "tcp://host", "imaps://ada:s3cret@host"},
		{"ping", "-n", "imaps://ada:s3cret@host"},
		{"ping", "--color=imaps://ada:s3cret@host"},
		{"bench", "-d", `imaps://ada:s3cret "pass2@host`, "tcp://host"},
		{"serve", "imaps://ada:s3cret@host"},
		{"ping", "gopher://ada:s3cret@host"},
		{"ping", "imaps://ada:s3cret@"},
		{"ping", "imaps://ada:s3cret%zz@host:1"},
		{"ping", "imaps://ada:s3cret@host:1?x=s3cret"},
		{"ping", "tcp://ada:s3cret@host:1"},
		{"ping", "tcp://host:1?proxy=socks5://ada:s3cret@host"},
		{"bench", "tcp://host:1?ping=a&pong=b&proxy=socks5://ada:s3cret@host:1&pool_x=s3cret"},
		{"ping", "imaps://ada:s3cret@host:port"},
		{"ping", "imaps://ada:s3cret@" + testport.Refused(t)},
		{"ping", "imap://ada:s3cret@" + mail.Addr() + "?tls=none"},
		{"bench", "imap://ada:s3cret@" + mail.Addr() + "?tls=none"},
		{"ping", "imap://ada:s3cret@" + mail.Addr()},
	} {
		r := hotline(t.Context(), args...)
		assert.NotZero(t, r.code, args)
		assert.NotContains(t, r.out+r.err, "s3cret", args)
		assert.NotContains(t, r.out+r.err, "pass2", args)
	}
}

func TestInterruptIsOneLine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, dsn := serve(t, new(testserver.Ping).Serve)
	for _, args := range [][]string{{"ping", dsn}, {"bench", dsn}, {"demo"}} {
		r := hotline(ctx, args...)
		r.wantFailure(t, exitFailed, "interrupted\n")
	}
}

func TestErrorOfManyLinesIsPrintedOnOne(t *testing.T) {
	fake := drivertest.NewFake(t)
	drivertest.Register(t, "fake", fake)
	fake.Always(drivertest.Connect, drivertest.Fail(errors.New("first\nsecond")))
	hotline(t.Context(), "ping", "fake://").wantFailure(t, exitFailed, "drivertest: connect: first; second\n")
}

func TestVerboseLogsThePool(t *testing.T) {
	_, dsn := serve(t, new(testserver.Ping).Serve)
	r := hotline(t.Context(), "-v", "bench", dsn, "-c", "1", "-d", "10ms", "--pool-only")
	assert.Zero(t, r.code)
	assert.Contains(t, r.err, `"msg"="connected" "pool"="tcp `)
	assert.NotContains(t, r.out, `"msg"`)
}

func TestVerboseLogsThePing(t *testing.T) {
	server, _ := serve(t, overTLS(new(testserver.Ping).Serve, testcert.NewCA().ServerConfig()))
	dsn := "tls://" + server.Addr() + pinging + "&insecure_skip_verify=true"
	for _, tc := range []struct {
		flag             string
		connects, pinged int
	}{{"-v", 2, 0}, {"-vv", 2, 3}} {
		r := hotline(t.Context(), tc.flag, "ping", dsn, "-n", "3")
		assert.Zero(t, r.code, r.err)
		assert.Equal(t, tc.connects, strings.Count(r.err, `"msg"="connected" "target"="tls `+server.Addr()+`" "took"=`), r.err)
		assert.Equal(t, tc.pinged, strings.Count(r.err, `"msg"="pinged"`), r.err)
		assert.NotContains(t, r.out, `"msg"`)
	}
}
