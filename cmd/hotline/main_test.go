package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is the exit code and the output of a run of the command.
type result struct {
	code     int
	out, err string
}

// hotline runs the command until it ends or ctx does.
func hotline(ctx context.Context, args ...string) result {
	var out, err bytes.Buffer
	code := run(ctx, args, &out, &err)
	return result{code, out.String(), err.String()}
}

// wantFailure fails the test unless r has the exit code, and one line on standard error
// that begins with message.
func (r result) wantFailure(t *testing.T, code int, message string) {
	t.Helper()
	assert.Equal(t, code, r.code)
	assert.True(t, strings.HasPrefix(r.err, "hotline: "+message), "standard error is %q, want hotline: %s…", r.err, message)
	assert.Equal(t, 1, strings.Count(r.err, "\n"), "lines of %q", r.err)
	assert.True(t, strings.HasSuffix(r.err, "\n"), "standard error ends in %q", r.err)
}

// wantSuccess fails the test unless r has exit code 0 and nothing on standard error.
func (r result) wantSuccess(t *testing.T) {
	t.Helper()
	require.Equal(t, exitOK, r.code, r.err)
	require.Empty(t, r.err)
}

// serve starts a server, and returns it and a DSN for it. The end of the test closes it.
func serve(t *testing.T, protocol func(net.Listener)) (server *testserver.Server, dsn string) {
	t.Helper()
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", protocol)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server, "tcp://" + server.Addr() + "?ping=PING%0A&pong=PONG%0A"
}

// silent serves connections without answering.
func silent(ln net.Listener) {
	var conns []net.Conn
	for {
		c, err := ln.Accept()
		if err != nil {
			break
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		c.Close()
	}
}
