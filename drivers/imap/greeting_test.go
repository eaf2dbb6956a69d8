package imap_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

// A greeting of NO comes before the credentials, so it can't refuse them.
func TestAGreetingOfNoIsNotARefusalOfCredentials(t *testing.T) {
	ca := testcert.NewCA()
	for _, tc := range []struct {
		name, greeting string
		throttled      bool
		pause          time.Duration
		full           bool
	}{
		{"unavailable", "* NO [UNAVAILABLE] Internal authentication failure", true, 0, false},
		{"full", "* NO Too many connections from your IP", true, time.Second, true},
		{"limit", "* no [LIMIT] later", true, time.Second, true},
		{"intrusion prevention", "* NO Your IP was blocked by the intrusion prevention", true, 30 * time.Second, false},
		{"bug", "* NO [SERVERBUG] oops", false, 0, false},
		{"refused credentials", "* NO [AUTHENTICATIONFAILED] not you", false, 0, false},
		{"no reason", "* NO go away", false, 0, false},
		{"bad", "* BAD go away", false, 0, false},
	} {
		for _, mode := range []string{imap.None, imap.StartTLS, imap.Implicit} {
			t.Run(tc.name+" "+mode, func(t *testing.T) {
				server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
					if mode == imap.Implicit {
						l = tls.NewListener(l, ca.ServerConfig())
					}
					for c, err := l.Accept(); err == nil; c, err = l.Accept() {
						play(c, []string{tc.greeting + "\r\n"})
					}
				})
				require.NoError(t, err)
				defer server.Close()
				config, err := imap.ParseDSN("imaps://" + server.Addr())
				require.NoError(t, err)
				config.Encryption, config.TLS.Base = mode, ca.ClientConfig()
				var refusals []error
				config.Credentials = tokens(&refusals, "good", "another")
				_, err = connectAs(t, config)
				_, text, _ := strings.Cut(tc.greeting, " ")
				require.ErrorContains(t, err, text[2:])
				pause, throttled := driver.RetryAfter(err)
				assert.Equal(t, []any{tc.throttled, tc.pause, tc.full, false}, []any{throttled, pause, driver.IsFull(err), driver.IsPermanent(err)}, "%v", err)
				assert.Len(t, refusals, 1, "no fresh token is asked for")
				assert.Equal(t, 1, server.Stats().Accepted)
			})
		}
	}
}

// A server may give the reason in a separate line before its answer.
func TestAnUntaggedNoIsPartOfTheErrorOfALogin(t *testing.T) {
	for _, tc := range []struct {
		name      string
		lines     []string
		want      string
		permanent bool
		throttled bool
		full      bool
	}{
		{"a reason", []string{"* NO [ALERT] the account is locked\r\n", "TAG NO failed\r\n"}, "NO failed (the server also said imap: NO [ALERT] the account is locked)", true, false, false},
		{"bad", []string{"* BAD [CLIENTBUG] what?\r\n", "TAG NO failed\r\n"}, "NO failed (the server also said imap: BAD [CLIENTBUG] (hidden", true, false, false},
		{"for now", []string{"* NO [UNAVAILABLE] down\r\n", "TAG NO failed\r\n"}, "[UNAVAILABLE] down", false, true, false},
		{"full", []string{"* NO [LIMIT] later\r\n", "TAG NO failed\r\n"}, "[LIMIT] later", false, true, true},
		{"too often", []string{"* NO Too many login attempts\r\n", "TAG NO [AUTHENTICATIONFAILED] failed\r\n"}, "Too many login attempts", false, true, false},
		{"a bug", []string{"* NO [SERVERBUG] oops\r\n", "TAG NO failed\r\n"}, "[SERVERBUG] oops", false, false, false},
		{"no answer but the end", []string{"* NO the account is locked\r\n", "HANG UP"}, "NO the account is locked", false, false, false},
		{"no answer but the end, full", []string{"* NO Too many connections\r\n", "HANG UP"}, "NO Too many connections", false, true, true},
		{"the secret", []string{"* NO what is " + password + "?\r\n", "TAG NO failed\r\n"}, "NO failed (the server also said imap: NO (hidden", true, false, false},
		{"a farewell", []string{"TAG NO failed\r\n* BYE Too many connections\r\n", "HANG UP"}, "NO failed (the server also said imap: BYE Too many connections)", false, true, true},
		{"nothing to do with it", []string{"* NO the mailbox is locked\r\n", welcome, "C: NOOP", "TAG NO failed\r\n"}, "", false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := connectAs(t, scripted(t, plainDSN("localhost", "?tls=none"), login1(tc.lines...)...))
				if tc.want == "" {
					require.NoError(t, err)
					require.EqualError(t, c.Noop().Wait(), "imap: NOOP on localhost:143: imap: NO failed")
					return
				}
				require.ErrorContains(t, err, tc.want)
				assert.NotContains(t, err.Error(), password)
				assert.Equal(t, []bool{tc.permanent, tc.throttled, tc.full}, []bool{driver.IsPermanent(err), isThrottled(err), driver.IsFull(err)}, "%v", err)
			})
		})
	}
}

func TestAnUntaggedNoIsPartOfTheErrorOfSTARTTLS(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		want   string
		full   bool
	}{
		{"full", "* NO [LIMIT] later\r\nS BAD failed\r\n", "STARTTLS: imap: BAD failed (the server also said imap: NO [LIMIT] later)", true},
		{"full, and the end", "* NO [LIMIT] later\r\n", "STARTTLS: imap: NO [LIMIT] later: EOF", true},
		{"a reason", "* NO no certificate\r\nS NO failed\r\n", "does not support STARTTLS: imap: NO failed (the server also said imap: NO no certificate); tls=none would use plain text", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := connectAs(t, scripted(t, plainDSN("localhost", ""), "* OK hi\r\n", "C: STARTTLS", tc.answer, "HANG UP"))
				require.ErrorContains(t, err, tc.want)
				assert.Equal(t, tc.full, driver.IsFull(err))
				assert.True(t, isThrottled(err), "throttled or doubted")
			})
		})
	}
}

// Text from a server ends up on terminals and in logs.
func TestTheTextOfAServerIsPrintableAndShort(t *testing.T) {
	const odd = "\x1b[31mred\u202e \xff"
	long := strings.Repeat("y", 60_000)
	for _, tc := range []struct {
		name, dsn string
		lines     []string
		use       func(c *imap.Conn) error
	}{
		{"greeting", "?tls=none", []string{"* BYE " + odd + long + "\r\n"}, nil},
		{"greeting before STARTTLS", "", []string{"* NO " + odd + long[:4000] + "\r\n"}, nil},
		{"another protocol", "?tls=none", []string{odd + "\r \r\n"}, nil},
		{"another protocol before STARTTLS", "", []string{odd + "\r\n"}, nil},
		{"answer to STARTTLS", "", []string{"* OK hi\r\n", "C: STARTTLS", "* NO " + odd + "\r\nS BAD " + odd + long[:4000] + "\r\n"}, nil},
		{"login", "?tls=none", login1("* NO "+odd+"\r\nTAG NO "+odd+long+"\r\n* BYE "+odd+"\r\n", "HANG UP"), nil},
		{"mailbox", "/INBOX?tls=none", login1(welcome, "C: SELECT", "TAG NO "+odd+long+"\r\n"), nil},
		{"command", "?tls=none", login1(welcome, "C: NOOP", "TAG NO "+odd+long+long+"\r\n"), func(c *imap.Conn) error { return c.Noop().Wait() }},
		{"farewell", "?tls=none", login1(welcome, "C: NOOP", "* BYE "+odd+long+"\r\n", "HANG UP"), func(c *imap.Conn) error { return c.Noop().Wait() }},
		{"farewell before", "?tls=none", login1(welcome, "C: NOOP", "* BYE "+odd+long+"\r\n", "HANG UP"), func(c *imap.Conn) error {
			_ = c.Noop().Wait()
			return c.ResetSession(context.Background())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := connectAs(t, scripted(t, plainDSN("localhost", tc.dsn), tc.lines...))
				if tc.use != nil {
					require.NoError(t, err)
					err = tc.use(c)
				}
				require.Error(t, err)
				for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
					assert.Less(t, len(text), 3000)
					for _, r := range text {
						assert.False(t, r < ' ' || r == 0x7f || r == '\u202e' || r == 0xfffd, "%q in %.200q", r, text)
					}
				}
				assert.Contains(t, strings.ToLower(err.Error()), `\x1b[31mred`)
			})
		})
	}
}
