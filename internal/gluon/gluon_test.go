package gluon_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

// message returns a mail with that subject.
func message(subject string) string {
	return "Subject: " + subject + "\r\nFrom: bob@example.org\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nhello\r\n"
}

// appendMail appends text to a mailbox.
func appendMail(c *imap.Conn, mailbox, text string) error {
	a := c.Append(mailbox, int64(len(text)), nil)
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

func TestGluonLetsUsIn(t *testing.T) {
	s := start(t)
	for _, encryption := range []string{imap.None, imap.StartTLS, imap.Implicit} {
		t.Run(encryption, func(t *testing.T) {
			c := s.dial(encryption)
			assert.Equal(t, "LOGIN", c.Mechanism())
			require.NoError(t, c.Ping(soon(t)))
			assert.Equal(t, encryption != imap.None, c.ConnectionState().HandshakeComplete)
			id, err := c.ID(&goimap.IDData{Name: "test"}).Wait()
			require.NoError(t, err)
			assert.NotNil(t, id)
			require.NoError(t, c.Close())
		})
	}
}

func TestGluonKeepsAndFindsMail(t *testing.T) {
	s := start(t)
	c := s.dial(imap.Implicit)
	for _, subject := range []string{"one", "two", "three"} {
		require.NoError(t, appendMail(c, "INBOX", message(subject)))
	}
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	found, err := c.UIDSearch(&goimap.SearchCriteria{Header: []goimap.SearchCriteriaHeaderField{{Key: "Subject", Value: "two"}}}, nil).Wait()
	require.NoError(t, err)
	require.Len(t, found.AllUIDs(), 1)
	whole := &goimap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(goimap.UIDSetNum(found.AllUIDs()...), &goimap.FetchOptions{Envelope: true, Flags: true, UID: true, BodySection: []*goimap.FetchItemBodySection{whole}}).Collect()
	require.NoError(t, err)
	require.Len(t, messages, 1)
	assert.Equal(t, "two", messages[0].Envelope.Subject)
	assert.Contains(t, string(messages[0].FindBodySection(whole)), "\r\n\r\nhello\r\n")
	status, err := c.Status("INBOX", &goimap.StatusOptions{NumMessages: true}).Wait()
	require.NoError(t, err)
	assert.EqualValues(t, 3, *status.NumMessages)
	_, err = c.Move(goimap.SeqSetNum(3), "Missing").Wait()
	var answer *goimap.Error
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, c.IsValid(), !driver.IsBad(err), "%v", err)
	require.NoError(t, c.ResetSession(soon(t)))
	assert.Empty(t, c.Mailbox())
}

func TestGluonRefusesAMessage(t *testing.T) {
	c := start(t).dial(imap.Implicit)
	err := appendMail(c, "Missing", message("lost"))
	var answer *goimap.Error
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, c.IsValid(), !driver.IsBad(err), "%v", err)
}

func TestGluonGetsAWrongPasswordOnce(t *testing.T) {
	s := start(t)
	config := s.config(imap.Implicit)
	config.Password = "wrong"
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	p, err := pool.New[*imap.Conn](connector, pool.Config{MaxConnecting: 1})
	require.NoError(t, err)
	defer p.Close()
	for range 20 {
		_, err = p.Acquire(soon(t))
		require.Error(t, err)
		assert.True(t, driver.IsPermanent(err), "%v", err)
	}
	assert.ErrorContains(t, err, "NO no such user")
	assert.EqualValues(t, 1, p.Stats().Connects)
}

// A command that a holder leaves open does not reach the next one.
func TestGluonAfterAnAbandonedFetch(t *testing.T) {
	s := start(t)
	c := s.dial(imap.Implicit)
	for n := range 20 {
		require.NoError(t, appendMail(c, "INBOX", message(fmt.Sprint(n))))
	}
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	all := goimap.SeqSet{{Start: 1, Stop: 20}}
	f := c.Fetch(all, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{{Peek: true}}})
	require.NotNil(t, f.Next())
	idle, err := s.dial(imap.None).Idle()
	require.NoError(t, err)
	require.NoError(t, c.ResetSession(soon(t)))
	require.NoError(t, c.Ping(soon(t)))
	require.NoError(t, idle.Close())
	require.NoError(t, idle.Wait())
}

// Watch reports new mail, even mail that comes after the connection was lost.
func TestGluonIsWatched(t *testing.T) {
	s := start(t)
	p, err := pool.New[*imap.Conn](s.connector(imap.Implicit), pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	calls, done := make(chan []imap.Update), make(chan error, 1)
	go func() {
		done <- imap.Watch(ctx, p, "INBOX", func(ctx context.Context, _ *imap.Conn, news []imap.Update) error {
			select {
			case calls <- news:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	wantCall := func(why string) []imap.Update {
		t.Helper()
		select {
		case news := <-calls:
			return news
		case err := <-done:
			t.Fatalf("%s: Watch returned %v", why, err)
		case <-time.After(15 * time.Second):
			t.Fatal(why + ": fn was not called")
		}
		return nil
	}
	assert.Empty(t, wantCall("the beginning"))
	other := s.dial(imap.None)
	require.NoError(t, appendMail(other, "INBOX", message("first")))
	assert.NotEmpty(t, wantCall("a mail"))
	s.secure.hangUp()
	for news := wantCall("a loss"); len(news) > 0; news = wantCall("a loss") { // gluon also reports flags
	}
	require.NoError(t, appendMail(other, "INBOX", message("second")))
	assert.NotEmpty(t, wantCall("a mail after a loss"))
	cancel()
	for {
		select {
		case <-calls:
			continue
		case err := <-done:
			assert.ErrorIs(t, err, context.Canceled)
		}
		return
	}
}

// Each operation appends its own message, and is not repeated, while the server
// repeatedly hangs up on everybody.
func TestGluonUnderKicks(t *testing.T) {
	const workers, maxOpen, kicks = 8, 4, 20
	s := start(t)
	p, err := pool.New[*imap.Conn](s.connector(imap.Implicit), pool.Config{MaxOpen: maxOpen})
	require.NoError(t, err)
	defer p.Close()
	var mu sync.Mutex // guards outcome
	outcome := map[string]error{}
	var succeeded atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for w := range workers {
		load.Go(func() { // ends with stop
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				subject := fmt.Sprintf("worker-%d-%d", w, n)
				err := p.Do(soon(t), func(_ context.Context, c *imap.Conn) error { return appendMail(c, "INBOX", message(subject)) })
				if err == nil {
					succeeded.Add(1)
				}
				mu.Lock()
				outcome[subject] = err
				mu.Unlock()
			}
		})
	}
	for range kicks {
		before := succeeded.Load()
		require.Eventually(t, func() bool { return succeeded.Load() > before+workers }, 10*time.Second, time.Millisecond, "no operation succeeds again")
		s.secure.hangUp()
	}
	close(stop)
	load.Wait()
	stored := s.subjects()
	failed := 0
	for subject, err := range outcome {
		if err == nil {
			assert.Equal(t, 1, stored[subject], "%s succeeded", subject)
			continue
		}
		failed++
		var acquire *pool.AcquireError
		assert.LessOrEqual(t, stored[subject], 1, "%s failed: %v", subject, err)
		assert.True(t, driver.IsBad(err) || errors.As(err, &acquire), "%s failed: %v", subject, err)
		assert.False(t, driver.IsPermanent(err), "%s failed: %v", subject, err)
	}
	t.Logf("%d operations, %d failed, %d connects", len(outcome), failed, p.Stats().Connects)
}

// subjects counts the subjects in the INBOX.
func (s *server) subjects() map[string]int {
	c := s.dial(imap.None)
	selected, err := c.Select("INBOX", nil).Wait()
	require.NoError(s.t, err)
	section := &goimap.FetchItemBodySection{Specifier: goimap.PartSpecifierHeader, Peek: true}
	messages, err := c.Fetch(goimap.SeqSet{{Start: 1, Stop: selected.NumMessages}}, &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
	require.NoError(s.t, err)
	count := map[string]int{}
	subject := regexp.MustCompile(`Subject: (\S+)`)
	for _, m := range messages {
		count[subject.FindStringSubmatch(string(m.FindBodySection(section)))[1]]++
	}
	return count
}
