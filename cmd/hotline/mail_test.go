package main

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// How a test connects to its mail server.
const (
	plainText = "imap://, tls=none"
	startTLS  = "imap://"
	onTLS     = "imaps://"
)

// serveMail starts mail, whose user is ada with the password s3cret. It returns a DSN for
// it that ends with a parameter.
func serveMail(t *testing.T, mail *testserver.IMAP, how string) (server *testserver.Server, dsn string) {
	t.Helper()
	ca := testcert.NewCA()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, ca.PEM(), 0o600))
	trusting := "?ca=" + url.QueryEscape(file)
	switch how {
	case onTLS:
		server, _ = serve(t, overTLS(mail.Serve, ca.ServerConfig()))
		return server, "imaps://ada:s3cret@" + server.Addr() + trusting
	case startTLS:
		mail.TLS = ca.ServerConfig()
		server, _ = serve(t, mail.Serve)
		return server, "imap://ada:s3cret@" + server.Addr() + trusting
	}
	server, _ = serve(t, mail.Serve)
	return server, "imap://ada:s3cret@" + server.Addr() + "?tls=none"
}

func TestPingDescribesAMailServer(t *testing.T) {
	const d = `\d+(\.\d+)?(ns|µs|ms|s)`
	agreed := "TLS 1.3 with TLS_\\w+; the server's certificate expires on 2099-01-01, in [\\d,]+ days\n"
	again := "connected again in " + d + ", by resuming the session\n"
	for _, tc := range []struct{ how, scheme, agreed, again string }{
		{onTLS, "imaps", agreed, again},
		{startTLS, "imap", agreed, again},
		{plainText, "imap", "", ""},
	} {
		t.Run(tc.how, func(t *testing.T) {
			mail := testserver.NewIMAP("ada", "s3cret")
			server, dsn := serveMail(t, mail, tc.how)
			r := hotline(t.Context(), "ping", dsn)
			r.wantSuccess(t)
			assert.Regexp(t, `^`+tc.scheme+` ada@`+server.Addr()+`: connected in `+d+`
`+tc.agreed+`logged in with PLAIN; the server's capabilities:
  (\S+ )+IMAP4rev1 IMAP4rev2 (\S+ ?)+
  (\S+ ?)+
  \S+
5 round trips: min `+d+`, avg `+d+`, max `+d+`
`+tc.again+`$`, r.out)
			assert.NotContains(t, r.out, "s3cret")
		})
	}
}

func TestPingPrintsJSON(t *testing.T) {
	_, dsn := serveMail(t, testserver.NewIMAP("ada", "s3cret"), onTLS)
	r := hotline(t.Context(), "ping", dsn, "-n", "3", "--json")
	r.wantSuccess(t)
	assert.NotContains(t, r.out, "s3cret")
	var got jsonPing
	require.NoError(t, json.Unmarshal([]byte(r.out), &got))
	assert.Regexp(t, `^imaps ada@127\.0\.0\.1:\d+$`, got.Target)
	assert.Positive(t, got.Connect)
	assert.Len(t, got.RoundTrips, 3)
	assert.Equal(t, "TLS 1.3", got.TLS.Version)
	assert.Equal(t, 2099, got.TLS.Expires.Year())
	assert.Equal(t, "PLAIN", got.IMAP.Mechanism)
	assert.Contains(t, got.IMAP.Capabilities, goimap.CapIMAP4rev1)
	assert.True(t, got.Again.Resumed)

	fake := drivertest.NewFake(t)
	drivertest.Register(t, "fake", fake)
	fake.Next(drivertest.Ping, 2, nil)
	fake.Next(drivertest.Ping, 1, drivertest.Fail(io.EOF))
	r = hotline(t.Context(), "ping", "fake://host", "--json")
	r.wantFailure(t, exitFailed, "round trip 3 of 5: EOF\n")
	got = jsonPing{}
	require.NoError(t, json.Unmarshal([]byte(r.out), &got))
	assert.Len(t, got.RoundTrips, 2, "the round trips before the failure")
	assert.Nil(t, got.TLS)
}

func TestPingSortsCapabilitiesAndNamesTheMechanism(t *testing.T) {
	mail := testserver.NewIMAP("ada", "s3cret")
	mail.Caps = goimap.CapSet{goimap.CapIMAP4rev2: {}, goimap.CapSpecialUse: {}, goimap.CapLiteralPlus: {}, goimap.CapAppendLimit: {}}
	mail.PreAuth = true
	_, dsn := serveMail(t, mail, plainText)
	r := hotline(t.Context(), "ping", dsn)
	r.wantSuccess(t)
	assert.Contains(t, r.out, "\nlogged in with PREAUTH; the server's capabilities:\n  APPENDLIMIT IMAP4rev2 LITERAL+ SPECIAL-USE\n5 round trips: ")
}

func TestPingSaysThatTheAccountIsFull(t *testing.T) {
	mail := testserver.NewIMAP("ada", "s3cret")
	mail.MaxLogins = 1
	_, dsn := serveMail(t, mail, plainText)
	connector, err := driver.OpenConnector("imap", dsn)
	require.NoError(t, err)
	other, err := connector.Connect(t.Context())
	require.NoError(t, err)
	defer other.Close()
	r := hotline(t.Context(), "ping", dsn)
	r.wantFailure(t, exitFailed, "imap: login by PLAIN on ")
	assert.Contains(t, r.err, "NO [LIMIT] Maximum number of connections from user exceeded")
}

func TestBenchMeasuresAMailServer(t *testing.T) {
	mail := testserver.NewIMAP("ada", "s3cret")
	_, dsn := serveMail(t, mail, onTLS)
	r := hotline(t.Context(), "bench", dsn, "-c", "6", "-d", "300ms", "--json")
	r.wantSuccess(t)
	assert.NotContains(t, r.out, "s3cret")
	var got jsonReport
	require.NoError(t, json.Unmarshal([]byte(r.out), &got))
	assert.Regexp(t, `^imaps ada@127\.0\.0\.1:\d+$`, got.Target)
	assert.Equal(t, 4, got.MaxOpen, "the driver's advice")
	assert.Positive(t, got.Pool.Requests)
	assert.Positive(t, got.Connect.Requests)
	assert.Zero(t, got.Pool.Failed+got.Connect.Failed)
	pooled := int64(mail.Logins()) - 1 - got.Connect.Requests // the first try logged in too
	assert.True(t, 1 <= pooled && pooled <= 4, "the pool has logged in %d times", pooled)
}

func TestFetchOnceWantsTheLetterAndLeavesItUnread(t *testing.T) {
	connectTo := func(mail *testserver.IMAP) pinger {
		server, _ := serve(t, mail.Serve)
		connector, err := driver.OpenConnector("imap", "imap://ada:s3cret@"+server.Addr()+"/INBOX?tls=none")
		require.NoError(t, err)
		c, err := connector.Connect(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c.(pinger)
	}
	ours, err := newMail("s3cret")
	require.NoError(t, err)
	c := connectTo(ours)
	for range 2 {
		require.NoError(t, fetchOnce(t.Context(), c))
	}
	status, err := c.(*imap.Conn).Status("INBOX", &goimap.StatusOptions{NumUnseen: true}).Wait()
	require.NoError(t, err)
	assert.EqualValues(t, len(letters), *status.NumUnseen, "the letter is read")
	ours.Answer(&goimap.Error{Type: goimap.StatusResponseTypeNo, Text: "not now"})
	require.ErrorContains(t, fetchOnce(t.Context(), c), "NO not now")
	const wrong = "the server did not send the message in its INBOX"
	other := testserver.NewIMAP("ada", "s3cret")
	require.EqualError(t, fetchOnce(t.Context(), connectTo(other)), wrong, "an empty mailbox")
	require.NoError(t, other.Append("INBOX", letters[1]))
	require.EqualError(t, fetchOnce(t.Context(), connectTo(other)), wrong, "another letter")
	c = connectTo(other)
	defer other.Stall()()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, fetchOnce(ctx, c), context.DeadlineExceeded)
}
