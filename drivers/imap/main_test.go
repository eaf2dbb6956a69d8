package imap_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account  = "ada@example.org"
	password = "p4ss,w/rd@"
	login    = "ada%40example.org:p4ss%2Cw%2Frd%40@" // in a DSN
)

// serve runs mail on a loopback port in plain text and returns the address.
func serve(t testing.TB, mail *testserver.IMAP) *testserver.Server {
	t.Helper()
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", mail.Serve)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

// mailbox returns a server whose INBOX holds messages.
func mailbox(t testing.TB, messages ...string) (*testserver.IMAP, *testserver.Server) {
	t.Helper()
	mail := testserver.NewIMAP(account, password)
	for _, m := range messages {
		require.NoError(t, mail.Append("INBOX", m))
	}
	return mail, serve(t, mail)
}

// plainDSN returns the DSN of a server in plain text.
func plainDSN(address, rest string) string { return "imap://" + login + address + rest }

func dial(t testing.TB, dsn string) *imap.Conn {
	t.Helper()
	c, err := tryDial(t, dsn)
	require.NoError(t, err)
	return c
}

func tryDial(t testing.TB, dsn string) (*imap.Conn, error) {
	t.Helper()
	connector, err := driver.OpenConnector("imap", dsn)
	require.NoError(t, err)
	return connectTo(t, connector)
}

func connectTo(t testing.TB, connector driver.Connector) (*imap.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := connector.Connect(ctx)
	if err != nil {
		require.Nil(t, c)
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c.(*imap.Conn), nil
}

// message returns a mail with a body of n bytes.
func message(n int) string {
	return "Subject: hello\r\nFrom: bob@example.org\r\n\r\n" + strings.Repeat("x", n)
}

// appendMail appends text to the INBOX.
func appendMail(c *imap.Conn, text string) error {
	a := c.Append("INBOX", int64(len(text)), nil)
	if _, err := a.Write([]byte(text)); err != nil {
		_ = a.Close()
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	_, err := a.Wait()
	return err
}

// soon returns a context that ends before the test gives up.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// within fails the test if f takes too long.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s did not return\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
}

// wantGoroutines waits until the driver and its client have n goroutines.
func wantGoroutines(t testing.TB, n int) {
	t.Helper()
	var ours []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		ours = nil
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "/imapclient.") || strings.Contains(stack, "/drivers/imap.") {
				ours = append(ours, stack)
			}
		}
		if len(ours) == n {
			return
		}
	}
	t.Fatalf("%d goroutines, want %d:\n%s", len(ours), n, strings.Join(ours, "\n\n"))
}

// script serves each connection with lines. For a line that begins with C:, it reads
// a line, which must contain the rest. A duration is a pause. It writes other lines as
// they are. At the end it hangs up if the last line is HANG UP; otherwise it is silent
// until LOGOUT.
func script(t testing.TB, lines ...string) string {
	t.Helper()
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			play(c, lines)
		}
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server.Addr()
}

// scripted is script on a network in memory, for the fake time of a bubble. It returns
// the Config of a DSN such as imap://u:p@localhost for it.
func scripted(t testing.TB, dsn string, lines ...string) imap.Config {
	t.Helper()
	var nw memnet.Network
	config, err := imap.ParseDSN(dsn)
	require.NoError(t, err)
	config.TCP.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return nw.DialContext(ctx, network, "localhost:143")
	}
	server, err := testserver.Start(nw.Listen, "localhost:143", func(l net.Listener) {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			play(c, lines)
		}
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return config
}

// wantPermanentIfAgain connects with config, which must fail, and again after the pause
// that the error asks for. It returns the second error, which must be permanent; the
// first must not be.
func wantPermanentIfAgain(t testing.TB, config imap.Config) error {
	t.Helper()
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	_, err = connectTo(t, connector)
	pause, ok := driver.RetryAfter(err)
	assert.True(t, ok && !driver.IsPermanent(err), "%v", err)
	assert.Equal(t, 2*time.Second, pause)
	<-time.After(pause)
	_, err = connectTo(t, connector)
	assert.True(t, driver.IsPermanent(err), "%v", err)
	_, err = connectTo(t, connector)
	assert.True(t, driver.IsPermanent(err), "the second time: %v", err)
	return err
}

func play(c net.Conn, lines []string) {
	defer c.Close()
	buffer := make([]byte, 64<<10)
	tag := ""
	for _, line := range lines {
		if want, ok := strings.CutPrefix(line, "C: "); ok {
			n, err := c.Read(buffer)
			got := string(buffer[:n])
			if err != nil || !strings.Contains(got, want) {
				fmt.Fprintf(c, "* BYE the script wants %q, not %q\r\n", want, got)
				return
			}
			if first, _, ok := strings.Cut(got, " "); ok {
				tag = first
			}
			continue
		}
		if line == "HANG UP" {
			return
		}
		if pause, err := time.ParseDuration(line); err == nil {
			<-time.After(pause)
			continue
		}
		fmt.Fprint(c, strings.ReplaceAll(line, "TAG", tag))
	}
	for {
		n, err := c.Read(buffer)
		if err != nil || strings.Contains(string(buffer[:n]), " LOGOUT") {
			return
		}
	}
}
