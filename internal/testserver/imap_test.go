package testserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	require.ErrorContains(t, dial().WaitGreeting(), "BYE full")
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
	mail.Answer(&imap.Error{Type: imap.StatusResponseTypeNo, Text: "later"})
	require.Error(t, c.Noop().Wait())
}

// imapserver waits for itself if its client goes while a body is sent.
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
	go fetch.Close() // or Close of the client would wait for it; ends with it
	c.Close()
}
