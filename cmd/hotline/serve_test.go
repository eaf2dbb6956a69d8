package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/internal/testserver"
)

// served reads the first output of hotline serve, and returns the DSN, which must have
// the form for the protocol.
func served(t *testing.T, protocol string, out *bufio.Reader) (dsn string) {
	t.Helper()
	address, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^address  127\.0\.0\.1:\d+\n$`, address)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^DSN      '[^']+'\n$`, line)
	dsn = strings.Split(line, "'")[1]
	want := map[string]string{
		"tcp":  `tcp://ADDR\?ping=PING%0A&pong=PONG%0A`,
		"tls":  `tls://ADDR\?ping=PING%0A&pong=PONG%0A&ca=\S+`,
		"imap": `imaps://ada:[A-Z2-7]{26}@ADDR/INBOX\?ca=\S+`,
	}[protocol]
	require.Regexp(t, "^"+strings.ReplaceAll(want, "ADDR", regexp.QuoteMeta(strings.Fields(address)[1]))+"$", dsn)
	return dsn
}

func TestServePrintsADSNAndServesUntilItIsInterrupted(t *testing.T) {
	for protocol, want := range map[string]string{ // over TLS, ping connects twice
		"tcp":  "10 requests on 2 connections",
		"tls":  "10 requests on 4 connections",
		"imap": "4 logins on 4 connections",
	} {
		t.Run(protocol, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reader, writer := io.Pipe()
			var errOut bytes.Buffer
			code := make(chan int)
			go func() { // ends with ctx
				defer writer.Close()
				code <- run(ctx, []string{"serve", protocol}, writer, &errOut)
			}()
			out := bufio.NewReader(reader)
			text := served(t, protocol, out)
			hotline(t.Context(), "ping", text).wantSuccess(t)
			hotline(t.Context(), "ping", text).wantSuccess(t)
			u, err := dsn.Parse(text)
			require.NoError(t, err)
			if ca := u.Params["ca"]; ca != "" {
				require.FileExists(t, ca)
				defer func() { assert.NoFileExists(t, ca) }()
			}
			cancel()
			last, err := out.ReadString('\n')
			require.NoError(t, err)
			assert.Regexp(t, `^served   `+want+`, at most [1-4] at once\n$`, last)
			assert.Equal(t, exitOK, <-code)
			assert.Empty(t, errOut.String())
			_, err = net.Dial("tcp", net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
			assert.Error(t, err, "the server is still there")
		})
	}
}

func TestServeReportsAnAddressThatIsTaken(t *testing.T) {
	server, _ := serve(t, new(testserver.Ping).Serve)
	r := hotline(t.Context(), "serve", "tcp", "--addr", server.Addr())
	r.wantFailure(t, exitFailed, "--addr: listen tcp "+server.Addr()+": ")
	assert.Empty(t, r.out)
}

func TestServeDoesNotRepeatAnAddressThatIsADSN(t *testing.T) {
	for protocol, addr := range map[string]string{"tcp": "imaps://ada:s3cret@127.0.0.1:993", "tls": "imaps://s3cret@host", "imap": "s3cret"} {
		r := hotline(t.Context(), "serve", protocol, "--addr", addr)
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.err, "--addr: want host:port, as in 127.0.0.1:2485")
		assert.NotContains(t, r.err+r.out, "s3cret")
	}
}
