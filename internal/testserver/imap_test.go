package testserver_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
)

// mailClient connects to mail.
func mailClient(t *testing.T, mail *testserver.IMAP) func() *imapclient.Client {
	s, err := testserver.Start(testserver.TCP, "127.0.0.1:0", mail.Serve)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return func() *imapclient.Client {
		c, err := imapclient.DialInsecure(s.Addr(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func TestIMAPKeepsMail(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	require.NoError(t, mail.Append("INBOX", "Subject: hi\r\n\r\n"))
	require.Error(t, mail.Append("Sent", "Subject: hi\r\n\r\n"))
	require.NoError(t, mail.Create("Sent"))
	c := mailClient(t, mail)()
	require.ErrorContains(t, c.Login("ada", "wrong").Wait(), "AUTHENTICATIONFAILED")
	require.NoError(t, c.Login("ada", "secret").Wait())
	assert.Equal(t, 1, mail.Logins())
	data, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	assert.EqualValues(t, 1, data.NumMessages)
	require.NoError(t, c.Logout().Wait())
}

func TestIMAPLimitsItsLogins(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	mail.MaxLogins = 1
	dial := mailClient(t, mail)
	first := dial()
	require.NoError(t, first.Login("ada", "secret").Wait())
	require.ErrorContains(t, dial().Login("ada", "secret").Wait(), "[LIMIT]")
	first.Close()
	require.Eventually(t, func() bool { return dial().Login("ada", "secret").Wait() == nil }, 5*time.Second, time.Millisecond)
}

func TestIMAPRefusesAndHangsUp(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	dial := mailClient(t, mail)
	in := dial()
	require.NoError(t, in.Login("ada", "secret").Wait())
	mail.Refuse(&imap.Error{Type: imap.StatusResponseTypeBye, Text: "full"})
	turned := dial()
	require.Eventually(t, func() bool { return strings.Contains(turned.WaitGreeting().Error(), "BYE full") }, 5*time.Second, time.Millisecond,
		"it returns the BYE or the end, at random")
	mail.Refuse(&imap.Error{Type: imap.StatusResponseTypeNo, Text: "closed"})
	require.ErrorContains(t, dial().Login("ada", "secret").Wait(), "NO closed")
	mail.Refuse(nil)
	require.NoError(t, dial().Login("ada", "secret").Wait())
	mail.Bye("good night")
	<-in.Closed()
}

func TestIMAPStalls(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	mail.PreAuth = true
	c := mailClient(t, mail)()
	require.NoError(t, c.WaitGreeting())
	release := mail.Stall()
	done := make(chan error, 1)
	go func() { done <- c.Noop().Wait() }() // ends when released
	select {
	case err := <-done:
		t.Fatalf("an answer: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	require.NoError(t, <-done)
}

func TestIMAPAnswersWithAFailure(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	mail.PreAuth = true
	c := mailClient(t, mail)()
	require.NoError(t, c.WaitGreeting())
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	mail.Answer(&imap.Error{Type: imap.StatusResponseTypeNo, Code: "THROTTLED", Text: "later"})
	_, err = c.Select("INBOX", nil).Wait()
	require.ErrorContains(t, err, "NO [THROTTLED] later")
	mail.Answer(nil)
	_, err = c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	mail.Answer(&imap.Error{Type: imap.StatusResponseTypeNo, Text: "later"})
	require.ErrorContains(t, c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{Flags: true}).Close(), "NO later")
	require.Error(t, c.Noop().Wait())
	<-c.Closed()
}

// imapserver deadlocks if its client goes away while it sends a body.
func TestIMAPEndsWhenItsClientGoesInTheMiddleOfAMessage(t *testing.T) {
	mail := testserver.NewIMAP("ada", "secret")
	mail.PreAuth = true
	require.NoError(t, mail.Append("INBOX", "Subject: hi\r\n\r\n"+strings.Repeat("x", 8<<20)))
	c := mailClient(t, mail)()
	require.NoError(t, c.WaitGreeting())
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	fetch := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{}}})
	require.NotNil(t, fetch.Next())
	go fetch.Close() // otherwise Close of the client would wait for it; ends with it
	c.Close()
}

// onMemnet runs mail on a network in memory, and connects to it.
func onMemnet(t *testing.T, mail *testserver.IMAP) (*testserver.Server, *imapclient.Client) {
	t.Helper()
	var nw memnet.Network
	s, err := testserver.Start(nw.Listen, "", mail.Serve)
	require.NoError(t, err)
	nc, err := nw.DialContext(t.Context(), "tcp", s.Addr())
	require.NoError(t, err)
	return s, imapclient.New(nc, nil)
}

func TestIMAPTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail := testserver.NewIMAP("ada", "secret")
		mail.Delay, mail.LoginDelay = time.Second, 7*time.Second
		require.NoError(t, mail.Append("INBOX", "Subject: hi\r\n\r\n"))
		s, c := onMemnet(t, mail)
		defer s.Close()
		defer c.Close()
		wantTime := func(what string, want time.Duration, do func() error) {
			t.Helper()
			began := time.Now()
			require.NoError(t, do(), what)
			assert.Equal(t, want, time.Since(began), what)
		}
		wantTime("greeting", 0, c.WaitGreeting)
		wantTime("LOGIN", 7*time.Second, c.Login("ada", "secret").Wait)
		wantTime("NOOP", time.Second, c.Noop().Wait)
		wantTime("SELECT", time.Second, func() error { _, err := c.Select("INBOX", nil).Wait(); return err })
		wantTime("FETCH", time.Second, c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{Flags: true}).Close)
		wantTime("LOGOUT", 0, c.Logout().Wait)
	})
}

func TestIMAPCutsItsTimeShortWhenItStops(t *testing.T) {
	for name, ask := range map[string]func(*testserver.IMAP, *imapclient.Client) error{
		"login": func(_ *testserver.IMAP, c *imapclient.Client) error { return c.Login("ada", "secret").Wait() },
		"select": func(_ *testserver.IMAP, c *imapclient.Client) error {
			_, err := c.Select("INBOX", nil).Wait()
			return err
		},
		"noop": func(_ *testserver.IMAP, c *imapclient.Client) error { return c.Noop().Wait() },
		"stall": func(mail *testserver.IMAP, c *imapclient.Client) error {
			mail.Stall()
			return c.Noop().Wait()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			mail := testserver.NewIMAP("ada", "secret")
			mail.PreAuth = name != "login"
			mail.Delay, mail.LoginDelay = time.Hour, time.Hour
			s, c := onMemnet(t, mail)
			defer c.Close()
			require.NoError(t, c.WaitGreeting())
			failed := make(chan error, 1)
			go func() { failed <- ask(mail, c) }() // ends with the connection
			synctest.Wait()
			began := time.Now()
			s.Close()
			assert.Zero(t, time.Since(began), name)
			assert.Error(t, <-failed, name)
		})
	}
}

// lastListener accepts the given connections, and then fails.
type lastListener struct {
	net.Listener
	conns chan net.Conn
}

func (l lastListener) Accept() (net.Conn, error) {
	if c := <-l.conns; c != nil {
		return c, nil
	}
	return nil, net.ErrClosed
}

// imapserver may not have begun to serve that connection when it stops.
func TestIMAPWaitsForTheConnectionThatItAcceptedLast(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			conns := make(chan net.Conn, 1)
			conns <- theirs
			close(conns)
			served := make(chan struct{})
			go func() { // ends when the connection does
				defer close(served)
				testserver.NewIMAP("ada", "secret").Serve(lastListener{conns: conns})
			}()
			synctest.Wait()
			select {
			case <-served:
				_, err := ours.Write([]byte("a NOOP\r\n"))
				require.ErrorIs(t, err, io.ErrClosedPipe, "Serve has returned although the connection is open")
			default:
			}
			ours.Close()
			<-served
		})
	}
}
