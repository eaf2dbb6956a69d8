package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestUsageErrorsExitWith2AndOneLine(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"no command", "", `expected one of "demo", "ping", "bench", "serve"; see hotline --help`},
		{"an unknown command", "pong", "unexpected argument pong"},
		{"an unknown flag", "ping x://y --color", "unknown flag --color"},
		{"ping without DSN", "ping", `expected "<DSN>"`},
		{"ping -n 0", "ping x://y -n 0", "ping: --count: want 1 or more"},
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
		{"a demo in no time", "demo --for 10ms", "demo: --for: want 1s or more"},
		{"a DSN without scheme", "ping 127.0.0.1:2485", "the DSN has no scheme; want one as in tcp://127.0.0.1:2485"},
		{"an unknown driver", "ping gopher://host", `no driver for "gopher"; there are ` + strings.Join(driver.Drivers(), ", ")},
		{"an unknown driver in bench", "bench gopher://host", `no driver for "gopher"; there are ` + strings.Join(driver.Drivers(), ", ")},
		{"a wrong DSN", "ping tcp://host:port", "dsn: port: want a number from 1 to 65535"},
		{"a wrong DSN in bench", "bench tcp://host:1?pingg=a", "dsn: unknown parameter pingg; the nearest known one is ping"},
		{"several faults in a DSN", "ping tcp://host:1?ping=a&nodelay=maybe", "dsn: parameter nodelay"},
		{"a wrong escape in a pool parameter", "ping tcp://host:1?pool_max_open=%zz", "pool: dsn: parameter pool_max_open: want two hex digits"},
		{"an unknown pool parameter", "ping tcp://host:1?pool_max_opem=3", "pool: dsn: unknown parameter pool_max_opem; the nearest known one is pool_max_open\n"},
		{"a pool parameter without meaning", "ping tcp://host:1?pool_keepalive=often", "pool: dsn: parameter pool_keepalive"},
		{"pool parameters that don't go together", "ping tcp://host:1?pool_min_idle=11", "pool: MinIdle is 11; want at most MaxOpen"},
		{"pool parameters that don't go with what the driver advises", "ping imaps://ada:pw@host?pool_min_idle=5", "pool: MinIdle is 5; want at most MaxOpen"},
		{"an unknown pool parameter in bench", "bench tcp://host:1?ping=a&pong=b&pool_size=3", "pool: dsn: unknown parameter pool_size"},
		{"a pool parameter out of range in bench", "bench tcp://host:1?ping=a&pong=b&pool_min_idle=11", "pool: MinIdle is 11; want at most MaxOpen"},
		{"bench without round trips", "bench tcp://host:1", "bench needs round trips; give the DSN ping= and pong="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := hotline(t.Context(), strings.Fields(tc.args)...)
			r.wantFailure(t, exitUsage, tc.want)
			assert.Empty(t, r.out)
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--help", "demo"},
		{"ping --help", "<DSN>"},
		{"bench --help", "--pool-only"},
		{"serve tcp --help", "--addr"},
	} {
		r := hotline(t.Context(), strings.Fields(tc.args)...)
		r.wantSuccess(t)
		assert.Contains(t, r.out, "Usage: hotline", tc.args)
		assert.Contains(t, r.out, tc.want, tc.args)
	}
	assert.NotContains(t, hotline(t.Context(), "demo", "--help").out, "--for")
}

// However the command line is wrong, the password stays out of the message.
func TestNoSecretOfADSNIsPrinted(t *testing.T) {
	server, _ := serve(t, (&testserver.Ping{User: "ada", Password: "right"}).Serve)
	mail, _ := serve(t, testserver.NewIMAP("ada", "right").Serve)
	for _, args := range [][]string{
		{"demo://ada:s3cret@host"},
		{"ping", "tcp://host", "demo://ada:s3cret@host"},
		{"ping", "-n", "demo://ada:s3cret@host"},
		{"ping", "--color=demo://ada:s3cret@host"},
		{"bench", "-d", `demo://ada:s3cret "pass2@host`, "tcp://host"},
		{"serve", "demo://ada:s3cret@host"},
		{"ping", "gopher://ada:s3cret@host"},
		{"ping", "demo://ada:s3cret@host:port"},
		{"ping", "demo://ada:s3cret@"},
		{"ping", "demo://ada:s3cret%zz@host:1"},
		{"ping", "demo://ada:s3cret@host:1?x=s3cret"},
		{"ping", "tcp://ada:s3cret@host:1"},
		{"ping", "tcp://host:1?proxy=socks5://ada:s3cret@host"},
		{"bench", "tcp://host:1?ping=a&pong=b&proxy=socks5://ada:s3cret@host:1&pool_x=s3cret"},
		{"ping", "demo://ada:s3cret@" + server.Addr()},
		{"bench", "demo://ada:s3cret@" + server.Addr()},
		{"ping", "demo://ada:s3cret@" + refused(t)},
		{"ping", "imaps://ada:s3cret@host:port"},
		{"ping", "imaps://ada:s3cret@" + refused(t)},
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
