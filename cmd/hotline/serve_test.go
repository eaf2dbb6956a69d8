package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testserver"
)

// served reads what hotline serve prints first, and returns the DSN.
func served(t *testing.T, out *bufio.Reader) (dsn string) {
	t.Helper()
	address, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^address  127\.0\.0\.1:\d+\n$`, address)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	dsn = strings.TrimSpace(strings.TrimPrefix(line, "DSN      "))
	require.Equal(t, "tcp://"+strings.Fields(address)[1]+"?ping=PING%0A&pong=PONG%0A", dsn)
	return dsn
}

func TestServePrintsADSNAndServesUntilItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	var errOut bytes.Buffer
	code := make(chan int)
	go func() { // ends with ctx
		defer writer.Close()
		code <- run(ctx, []string{"serve", "tcp"}, writer, &errOut)
	}()
	out := bufio.NewReader(reader)
	dsn := served(t, out)
	hotline(t.Context(), "ping", dsn).wantSuccess(t)
	hotline(t.Context(), "ping", dsn).wantSuccess(t)
	cancel()
	last, err := out.ReadString('\n')
	require.NoError(t, err)
	assert.Regexp(t, regexp.MustCompile(`^served   10 requests on 2 connections, at most [12] at once\n$`), last)
	assert.Equal(t, exitOK, <-code)
	assert.Empty(t, errOut.String())
	_, err = net.Dial("tcp", strings.Fields(strings.ReplaceAll(strings.TrimPrefix(dsn, "tcp://"), "?", " "))[0])
	assert.Error(t, err, "the server is still there")
}

func TestServeReportsAnAddressThatIsTaken(t *testing.T) {
	server, _ := serve(t, new(testserver.Ping).Serve)
	r := hotline(t.Context(), "serve", "tcp", "--addr", server.Addr())
	r.wantFailure(t, exitFailed, "testserver: listen tcp "+server.Addr()+": ")
	assert.Empty(t, r.out)
}
