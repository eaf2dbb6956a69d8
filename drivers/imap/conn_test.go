package imap_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testclock"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestAConnectionReadsMail(t *testing.T) {
	_, server := mailbox(t, message(10), message(20))
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	assert.Equal(t, "PLAIN", c.Mechanism())
	assert.Equal(t, server.Addr(), c.RemoteAddr().String(), "which the pool shows")
	selected, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	assert.EqualValues(t, 2, selected.NumMessages)
	body := &goimap.FetchItemBodySection{}
	messages, err := c.Fetch(goimap.SeqSetNum(1, 2), &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{body}}).Collect()
	require.NoError(t, err)
	require.Len(t, messages, 2)
	assert.Equal(t, message(20), string(messages[1].FindBodySection(body)))
}

func TestPingIsARoundTrip(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	require.NoError(t, c.Ping(soon(t)))
	mail.Bye("Server shutting down.")
	assert.Error(t, c.Ping(soon(t)))
	assert.False(t, c.IsValid())
}

func TestAContextEndsACommandThatGetsNoAnswer(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	release := mail.Stall()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	unbind := c.Bind(ctx)
	defer unbind()
	noop := c.Noop()
	cancel()
	within(t, "Wait", func() {
		err := noop.Wait()
		assert.ErrorIs(t, err, context.Canceled)
		assert.True(t, driver.IsBad(err))
		assert.False(t, driver.SafeToRetry(err))
	})
	assert.False(t, c.IsValid())
}

func TestUnbindMayBeCalledAgain(t *testing.T) {
	_, server := mailbox(t)
	for _, ended := range []bool{false, true} {
		c := dial(t, plainDSN(server.Addr(), "?tls=none"))
		ctx, cancel := context.WithCancel(t.Context())
		unbind := c.Bind(ctx)
		if ended {
			cancel()
		}
		within(t, "unbind", unbind)
		within(t, "unbind again", unbind)
		cancel()
		assert.Equal(t, !ended, c.IsValid(), "a context that ends after unbind does not matter")
	}
}

func TestAFarewellIsInTheError(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	require.NoError(t, c.ResetSession(soon(t)))
	mail.Bye("Disconnected for inactivity.")
	var err error
	within(t, "NOOP", func() {
		for err == nil {
			err = c.Noop().Wait()
		}
	})
	assert.ErrorContains(t, err, "BYE Disconnected for inactivity.")
	var bye *goimap.Error
	require.ErrorAs(t, err, &bye)
	assert.Equal(t, goimap.StatusResponseTypeBye, bye.Type)
	assert.True(t, driver.IsBad(err), "%v", err)
	err = c.ResetSession(soon(t))
	assert.ErrorIs(t, err, driver.ErrBadConn)
	assert.ErrorContains(t, err, "Disconnected for inactivity.")
}

func TestReceivedCountsFromTheBeginningOfALease(t *testing.T) {
	_, server := mailbox(t, message(1000))
	c := dial(t, plainDSN(server.Addr(), "/INBOX?tls=none"))
	var received driver.Receiver = c
	assert.Zero(t, received.Received(), "greeting, login and SELECT belong to Connect")
	_, err := c.Fetch(goimap.SeqSetNum(1), body).Collect()
	require.NoError(t, err)
	assert.Greater(t, received.Received(), int64(1000))
	_, err = c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	require.NoError(t, c.Unselect().Wait())
	require.NoError(t, c.ResetSession(soon(t)))
	assert.Zero(t, received.Received(), "the SELECT of a reset belongs to the reset")
	require.NoError(t, c.Ping(soon(t)))
	assert.Positive(t, received.Received())
}

func TestAFarewellAloneDoesNotCountAsReceived(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answers []string
		want    bool
	}{
		{"nothing", []string{"HANG UP"}, false},
		{"a farewell", []string{"* BYE Too many connections\r\n", "HANG UP"}, false},
		{"an answer and a farewell", []string{"TAG OK done\r\n* BYE Server shutting down\r\n", "HANG UP"}, true},
		{"news and a farewell", []string{"* 1 EXISTS\r\n", "* BYE Server shutting down\r\n", "HANG UP"}, true},
		{"a farewell that is not the end", []string{"* BYE\r\nTAG OK done\r\n", "HANG UP"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			greeting := []string{"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: NOOP"}
			c := dial(t, plainDSN(script(t, append(greeting, tc.answers...)...), "?tls=none"))
			_ = c.Noop().Wait()
			within(t, "the end", func() {
				for c.IsValid() {
				}
			})
			assert.Equal(t, tc.want, c.Received() > 0)
		})
	}
}

func TestNothingSentIsSafeToRetry(t *testing.T) {
	_, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	require.NoError(t, c.Noop().Wait())
	require.NoError(t, c.ResetSession(soon(t))) // bytes sent before it do not count
	server.Kill()
	within(t, "the end", func() {
		for c.IsValid() {
		}
	})
	err := c.Noop().Wait()
	assert.True(t, driver.SafeToRetry(err), "%v", err)
	assert.True(t, driver.IsBad(err))
}

// lateConn is a connection whose Write of an EXPUNGE returns only when released.
type lateConn struct {
	net.Conn
	sent, released chan struct{}
}

func (l *lateConn) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	if strings.Contains(string(b), "EXPUNGE") {
		close(l.sent)
		<-l.released
	}
	return n, err
}

func TestACommandTheServerMayHaveReadIsNotSafeToRetry(t *testing.T) {
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: EXPUNGE")
	config, err := imap.ParseDSN(plainDSN(addr, "?tls=none"))
	require.NoError(t, err)
	late := &lateConn{sent: make(chan struct{}), released: make(chan struct{})}
	config.TCP.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		late.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return late, err
	}
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	require.NoError(t, c.ResetSession(soon(t)))
	ctx, cancel := context.WithCancel(t.Context())
	defer c.Bind(ctx)()
	failed := make(chan error, 1)
	go func() { // ends when released
		failed <- c.Expunge().Close()
	}()
	<-late.sent
	cancel()
	within(t, "the end", func() {
		for c.IsValid() {
		}
	})
	close(late.released)
	err = <-failed
	assert.ErrorIs(t, err, context.Canceled)
	assert.False(t, driver.SafeToRetry(err), "%v", err)
}

func TestAnAnswerOfNoLeavesTheConnection(t *testing.T) {
	_, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	_, err := c.Select("Missing", nil).Wait()
	var answer *goimap.Error
	require.ErrorAs(t, err, &answer)
	assert.False(t, driver.IsBad(err))
	assert.True(t, c.IsValid())
	require.NoError(t, c.ResetSession(soon(t)))
	require.NoError(t, c.Ping(soon(t)))
}

func TestAnOpenAppendIsTheReasonOfAFailedReset(t *testing.T) {
	_, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	_, err := c.Append("INBOX", 100, nil).Write([]byte("Subject: half"))
	require.NoError(t, err)
	assert.False(t, c.IsValid())
	assert.EqualError(t, c.ResetSession(soon(t)), "imap: driver: bad connection: an APPEND was left open")
}

func TestCloseLogsOut(t *testing.T) {
	addr := script(t, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n", "C: AUTHENTICATE PLAIN",
		"TAG OK [CAPABILITY IMAP4rev1] in\r\n", "C: LOGOUT", "* BYE bye\r\nTAG OK done\r\n")
	c := dial(t, plainDSN(addr, "?tls=none"))
	within(t, "Close", func() { require.NoError(t, c.Close()) })
	within(t, "the second Close", func() { require.NoError(t, c.Close()) })
	assert.False(t, c.IsValid())
	assert.Error(t, c.Noop().Wait())
}

func TestCloseIsBoundedIfLOGOUTIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := playInMemory(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: LOGOUT")
		began := time.Now()
		require.NoError(t, c.Close())
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

// A LOGOUT could not be sent before the server agrees to a command in progress.
func TestCloseDoesNotWaitForTheServersAgreement(t *testing.T) {
	for name, begin := range map[string]func(c *imap.Conn) error{
		"IDLE":   func(c *imap.Conn) error { _, err := c.Idle(); return err },
		"APPEND": func(c *imap.Conn) error { return c.Append("INBOX", 10, nil).Close() },
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan struct{})
			server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
				if c, err := l.Accept(); err == nil {
					fmt.Fprint(c, "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n")
					_, _ = c.Read(make([]byte, 1000))
					close(heard)
					play(c, nil)
				}
			})
			require.NoError(t, err)
			defer server.Close()
			c := dial(t, plainDSN(server.Addr(), "?tls=none"))
			failed := make(chan error, 1)
			go func() { failed <- begin(c) }() // ends by Close
			<-heard
			clock := testclock.Start(t)
			require.NoError(t, c.Close())
			assert.Less(t, clock.Elapsed(), time.Second)
			assert.True(t, driver.IsBad(<-failed))
		})
	}
}

func TestALiteralCutShortIsNotComplete(t *testing.T) {
	addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: SELECT", "* 1 EXISTS\r\nTAG OK in\r\n",
		"C: FETCH", "* 1 FETCH (BODY[] {100}\r\nhalf", "C: nothing")
	c := dial(t, plainDSN(addr, "?tls=none&id="))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	fetch := c.Fetch(goimap.SeqSetNum(1), &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{}}})
	literal := literalOf(t, fetch.Next())
	ctx, cancel := context.WithCancel(t.Context())
	defer c.Bind(ctx)()
	buffer := make([]byte, 4)
	_, err = io.ReadFull(literal, buffer)
	require.NoError(t, err)
	cancel()
	within(t, "Read", func() {
		_, err := io.ReadAll(literal)
		assert.ErrorIs(t, err, context.Canceled)
	})
	assert.Error(t, fetch.Close())
}

func TestALiteralThatEndsWithTheConnectionIsNotComplete(t *testing.T) {
	for _, collect := range []bool{false, true} {
		server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprint(c, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
			_, _ = c.Read(make([]byte, 1000))
			fmt.Fprint(c, "* 1 FETCH (BODY[] {100}\r\nhalf")
		})
		require.NoError(t, err)
		c := dial(t, plainDSN(server.Addr(), "?tls=none"))
		fetch := c.Fetch(goimap.SeqSetNum(1), body)
		if collect {
			messages, err := fetch.Collect()
			assert.Empty(t, messages)
			assert.True(t, driver.IsBad(err), "%v", err)
		} else {
			m := fetch.Next()
			text, err := io.ReadAll(literalOf(t, m))
			assert.Equal(t, "half", string(text))
			assert.True(t, driver.IsBad(err), "%v", err)
			assert.Nil(t, m.Next(), "and it does not race with the client, which still reads")
			assert.Nil(t, fetch.Next())
		}
		assert.True(t, driver.IsBad(fetch.Close()))
		server.Close()
	}
}
