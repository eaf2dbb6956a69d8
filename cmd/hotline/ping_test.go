package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestPingMakesRoundTripsOnOneConnection(t *testing.T) {
	ping := new(testserver.Ping)
	server, dsn := serve(t, ping.Serve)
	r := hotline(t.Context(), "ping", dsn)
	r.wantSuccess(t)
	const d = `\d+(\.\d+)?(ns|µs|ms|s)`
	assert.Regexp(t, `^tcp `+server.Addr()+`: connected in `+d+`
5 round trips: min `+d+`, avg `+d+`, max `+d+`
$`, r.out)
	assert.EqualValues(t, 5, ping.Requests())
	assert.Equal(t, 1, server.Stats().Accepted)
	hotline(t.Context(), "ping", dsn, "-n", "2").wantSuccess(t)
	assert.EqualValues(t, 7, ping.Requests())
	hotline(t.Context(), "ping", dsn+"&connect_ping=true").wantSuccess(t)
	assert.EqualValues(t, 7+6, ping.Requests(), "with the ping of Connect that the DSN turns on")
}

func TestPingReportsWhatItMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		drivertest.Register(t, "fake", fake)
		fake.Next(drivertest.Connect, 1, drivertest.Delay(1500*time.Millisecond))
		for _, d := range []time.Duration{20, 10, 60} {
			fake.Next(drivertest.Ping, 1, drivertest.Delay(d*time.Millisecond))
		}
		r := hotline(t.Context(), "ping", "fake://host", "-n", "3")
		r.wantSuccess(t)
		assert.Equal(t, "fake: connected in 1.5s\n3 round trips: min 10ms, avg 30ms, max 60ms\n", r.out)
		assert.Zero(t, fake.Counts().Open)
	})
}

func TestPingSaysWhenThereAreNoRoundTrips(t *testing.T) {
	server, _ := serve(t, silent)
	r := hotline(t.Context(), "ping", "tcp://"+server.Addr())
	r.wantSuccess(t)
	assert.Contains(t, r.out, "\nthe socket is open; for round trips, add ping= and pong= to the DSN\n")
	assert.NotContains(t, r.out, "min")
}

func TestPingWorksWithEachDriver(t *testing.T) {
	ca, ping := testcert.NewCA(), new(testserver.Ping)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, ca.PEM(), 0o600))
	overTLS, _ := serve(t, func(ln net.Listener) { ping.Serve(tls.NewListener(ln, ca.ServerConfig())) })
	hotline(t.Context(), "ping", "tls://"+overTLS.Addr()+pinging+"&ca="+url.QueryEscape(file)).wantSuccess(t)
	socket := filepath.Join(t.TempDir(), "socket")
	onSocket, err := testserver.Start(func(path string) (net.Listener, error) { return net.Listen("unix", path) }, socket, ping.Serve)
	require.NoError(t, err)
	defer onSocket.Close()
	hotline(t.Context(), "ping", "unix://"+filepath.ToSlash(socket)+pinging).wantSuccess(t)
	assert.EqualValues(t, 10, ping.Requests())
}

func TestPingOfSeveralHostsReachesOneThatIsUp(t *testing.T) {
	ping := new(testserver.Ping)
	up, _ := serve(t, ping.Serve)
	hosts := testport.Refused(t) + "," + up.Addr()
	r := hotline(t.Context(), "ping", "tcp://"+hosts+pinging)
	r.wantSuccess(t)
	assert.Contains(t, r.out, "tcp "+hosts+": connected in ")
	assert.EqualValues(t, 5, ping.Requests(), "Connect makes no ping")
	r = hotline(t.Context(), "ping", "tcp://"+hosts)
	assert.Contains(t, r.out, "add ping= and pong= to the DSN")
}

func TestPingRemovesPoolParameters(t *testing.T) {
	_, dsn := serve(t, new(testserver.Ping).Serve)
	hotline(t.Context(), "ping", dsn+"&pool_max_open=3").wantSuccess(t)
}

func TestPingConnectsOnceWhateverMinIdleIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		drivertest.Register(t, "fake", fake)
		hotline(t.Context(), "ping", "fake://host?pool_min_idle=2").wantSuccess(t)
		assert.Equal(t, 1, fake.Counts().Connects)
	})
}

func TestPingFailures(t *testing.T) {
	dead, _ := serve(t, silent)
	shut, _ := serve(t, (&testserver.Ping{User: "ada", Password: "secret"}).Serve)
	mail, _ := serve(t, testserver.NewIMAP("ada", "secret").Serve)
	down := testport.Refused(t)
	for _, tc := range []struct {
		name, dsn, timeout, want string
	}{
		{"refused", "tcp://" + down, "1m", "tcp: connect to " + down + ": dial tcp " + down},
		{"no answer to the ping", "tcp://" + dead.Addr() + pinging, "3s",
			"round trip 1 of 5: tcp: ping " + dead.Addr() + ": "},
		{"no answer to the login", "imap://ada:secret@" + dead.Addr() + "?tls=none", "3s", "imap: greeting on " + dead.Addr() + ": "},
		{"a wrong password", "imap://ada:wrong@" + mail.Addr() + "?tls=none", "1m", "imap: login by PLAIN on " + mail.Addr() + ": "},
		{"a wrong answer", "tcp://" + shut.Addr() + pinging, "1m",
			"round trip 1 of 5: tcp: ping " + shut.Addr() + `: the answer begins with "ERR w", want "PONG\n"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // some wait
			hotline(t.Context(), "ping", tc.dsn, "-t", tc.timeout).wantFailure(t, exitFailed, tc.want)
		})
	}
}

func TestPingNamesTheTimeLimitThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := drivertest.NewFake(t)
		drivertest.Register(t, "fake", fake)
		fake.Next(drivertest.Connect, 1, drivertest.Hang)
		began := time.Now()
		hotline(t.Context(), "ping", "fake://host", "-t", "3s").
			wantFailure(t, exitFailed, "drivertest: connect: context deadline exceeded (after --timeout 3s)\n")
		fake.Next(drivertest.Ping, 1, drivertest.Hang)
		hotline(t.Context(), "ping", "fake://host").
			wantFailure(t, exitFailed, "round trip 1 of 5: context deadline exceeded (after --timeout 5s)\n")
		assert.Equal(t, 8*time.Second, time.Since(began))
	})
}

func TestPingReportsTheRoundTripsBeforeAFailure(t *testing.T) {
	fake := drivertest.NewFake(t)
	drivertest.Register(t, "fake", fake)
	fake.Next(drivertest.Ping, 2, nil)
	fake.Next(drivertest.Ping, 1, drivertest.Fail(io.EOF))
	r := hotline(t.Context(), "ping", "fake://host")
	r.wantFailure(t, exitFailed, "round trip 3 of 5: EOF\n")
	assert.Contains(t, r.out, "2 round trips: min ")
	assert.Equal(t, 3, fake.Counts().Pings)
}

func TestPingWantsADriverThatCanPing(t *testing.T) {
	fake := drivertest.NewFake(t)
	fake.Wrap = drivertest.Bare
	drivertest.Register(t, "fake", fake)
	for _, command := range []string{"ping", "bench"} {
		hotline(t.Context(), command, "fake://host").
			wantFailure(t, exitFailed, "connections of the driver fake can't ping\n")
	}
	assert.Zero(t, fake.Counts().Open)
}

func TestTargetIsNamedByTheDriversAdvice(t *testing.T) {
	fake := drivertest.NewFake(t)
	fake.Advised = driver.Advice{Name: "fake of ada"}
	drivertest.Register(t, "fake", fake)
	assert.Contains(t, hotline(t.Context(), "ping", "FAKE://ada:secret@host").out, "fake of ada: connected in ")
}

func TestPingPassesTheDSNOnUnchanged(t *testing.T) {
	fake := drivertest.NewFake(t)
	drivertest.Register(t, "fake", fake)
	hotline(t.Context(), "ping", "fake://ada:p?w@tcp(host)/db?pool_max_open=2&x=1").wantSuccess(t)
	assert.Equal(t, []string{"fake://ada:p?w@tcp(host)/db?x=1"}, fake.DSNs())
}
