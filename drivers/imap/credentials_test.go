package imap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	mail, server := mailbox(t)
	mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed, Text: "Authentication failed."})
	_, err := tryDial(t, plainDSN(server.Addr(), "?tls=none"))
	require.EqualError(t, err, "imap: login by PLAIN on "+server.Addr()+": imap: NO [AUTHENTICATIONFAILED] Authentication failed.")
	assert.True(t, driver.IsPermanent(err))
	assert.Equal(t, 1, server.Stats().Accepted)
}

// inMemory starts a server on a network in memory, and returns a Config for it. Each
// login takes delay.
func inMemory(t *testing.T, delay time.Duration) (*testserver.IMAP, *testserver.Server, imap.Config) {
	t.Helper()
	var nw memnet.Network
	mail := testserver.NewIMAP(account, password)
	mail.LoginDelay = delay
	server, err := testserver.Start(nw.Listen, "localhost:143", mail.Serve)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	config, err := imap.ParseDSN(plainDSN("localhost", "?tls=none"))
	require.NoError(t, err)
	config.TCP.Dial = nw.DialContext
	return mail, server, config
}

// A server that is being stopped may refuse a good password.
func TestAPasswordThatWasGoodIsTriedOnceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, server, config := inMemory(t, 0)
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		connect := func() (permanent bool, pause time.Duration, err error) {
			_, err = connectTo(t, connector)
			pause, _ = driver.RetryAfter(err)
			return driver.IsPermanent(err), pause, err
		}
		refuse := &goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed}
		for range 2 {
			mail.Refuse(nil)
			_, _, err = connect()
			require.NoError(t, err)
			mail.Refuse(refuse)
			before := server.Stats().Accepted
			for range 2 {
				permanent, pause, err := connect()
				assert.False(t, permanent)
				assert.Equal(t, 2*time.Second, pause, "%v", err)
				assert.ErrorContains(t, err, "AUTHENTICATIONFAILED")
			}
			assert.Equal(t, before+1, server.Stats().Accepted, "the second is not sent")
			<-time.After(2 * time.Second)
			for range 2 {
				permanent, pause, _ := connect()
				assert.True(t, permanent)
				assert.Zero(t, pause)
			}
		}
	})
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	refuse := []string{greeting("AUTH=XOAUTH2 SASL-IR"), "C: XOAUTH2", "+ " + encoded(`{"status":"401"}`) + "\r\n", "C: \r\n", "TAG NO failed\r\n"}
	for _, tc := range []struct {
		name   string
		tokens []string
		dials  int
		ok     bool
	}{
		{"a good one", []string{"old", "new"}, 2, true},
		{"the same again", []string{"old", "old"}, 1, false},
		{"a bad one", []string{"old", "older", "oldest"}, 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					n++
					if n == 2 && tc.ok {
						play(c, []string{refuse[0], "C: XOAUTH2 " + encoded("user=joe,a=b\x01auth=Bearer new\x01\x01"), welcome})
					} else {
						play(c, refuse)
					}
				}
			})
			require.NoError(t, err)
			defer server.Close()
			var refusals []error
			c, err := connectWith(t, "imap://"+server.Addr()+"?tls=none", tokens(&refusals, tc.tokens...))
			if tc.ok {
				require.NoError(t, err)
				c.Close()
			} else {
				assert.True(t, driver.IsPermanent(err), "%v", err)
				assert.ErrorContains(t, err, `the server said "{\"status\":\"401\"}"`)
			}
			require.Len(t, refusals, 2)
			require.NoError(t, refusals[0])
			require.ErrorContains(t, refusals[1], "NO failed")
			assert.Equal(t, tc.dials, server.Stats().Accepted)
		})
	}
}

func TestATokenRefusedAfterADoubtfulErrorIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, in := []string{"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HANG UP"}, login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n")
		scripts := [][]string{page, login1("TAG NO [AUTHENTICATIONFAILED] expired\r\n"), in}
		var nw memnet.Network
		server, err := testserver.Start(nw.Listen, "localhost:143", func(l net.Listener) {
			for _, script := range scripts {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go play(c, script)
			}
		})
		require.NoError(t, err)
		defer server.Close()
		config, err := imap.ParseDSN(plainDSN("localhost", "?tls=none"))
		require.NoError(t, err)
		config.TCP.Dial = nw.DialContext
		config.User, config.Password = "", ""
		config.Credentials = func(_ context.Context, refused error) (imap.Credentials, error) {
			if refused != nil {
				return imap.Credentials{User: account, Password: "fresh"}, nil
			}
			return imap.Credentials{User: account, Password: "cached"}, nil
		}
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		_, err = connectTo(t, connector)
		pause, ok := driver.RetryAfter(err)
		require.True(t, ok, "%v", err)
		<-time.After(pause)
		_, err = connectTo(t, connector)
		require.NoError(t, err)
		assert.Equal(t, 3, server.Stats().Accepted)
	})
}

func TestAConnectionEndsWithItsToken(t *testing.T) {
	for _, tc := range []struct {
		name       string
		left, good time.Duration
	}{
		{"in ten minutes", 10 * time.Minute, 9 * time.Minute},
		{"in a moment", 40 * time.Second, 20 * time.Second},
		{"now", 0, 0},
		{"long ago", -time.Hour, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := expiring(t, time.Now().Add(tc.left))
				if tc.good > 0 {
					<-time.After(tc.good - 1)
					assert.True(t, c.IsValid())
					assert.NoError(t, c.Ping(t.Context()))
					assert.NoError(t, c.ResetSession(t.Context()))
					<-time.After(1)
				}
				assert.False(t, c.IsValid())
				assert.ErrorContains(t, c.Ping(t.Context()), "the credentials expire at")
				err := c.ResetSession(t.Context())
				assert.ErrorIs(t, err, driver.ErrBadConn)
				assert.ErrorContains(t, err, "the credentials expire at")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c := expiring(t, time.Time{})
		<-time.After(10 * time.Minute)
		assert.True(t, c.IsValid(), "the expiry is unknown")
	})
}

// expiring returns a connection whose credentials expire at expiry.
func expiring(t *testing.T, expiry time.Time) *imap.Conn {
	_, _, config := inMemory(t, 0)
	config.User, config.Password = "", ""
	config.Credentials = func(context.Context, error) (imap.Credentials, error) {
		return imap.Credentials{User: account, Password: password, Expiry: expiry}, nil
	}
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	c, err := connectTo(t, connector)
	require.NoError(t, err)
	return c
}

// A token source that is down says nothing about the account.
func TestATokenThatCannotBeReplacedIsNotARefusal(t *testing.T) {
	_, server := mailbox(t)
	down := errors.New("503")
	for _, permanent := range []bool{false, true} {
		_, err := connectWith(t, "imap://"+server.Addr()+"?tls=none", func(_ context.Context, refused error) (imap.Credentials, error) {
			switch {
			case refused == nil:
				return imap.Credentials{User: account, Password: "expired"}, nil
			case permanent:
				return imap.Credentials{}, driver.Permanent(down)
			}
			return imap.Credentials{}, down
		})
		assert.ErrorIs(t, err, down)
		assert.ErrorContains(t, err, "login by PLAIN", "the reason for asking")
		assert.Equal(t, permanent, driver.IsPermanent(err), "the source decides")
		pause, ok := driver.RetryAfter(err)
		assert.Equal(t, !permanent, ok)
		assert.Equal(t, !permanent, pause == 30*time.Second, "the old one is not sent again and again")
	}
}

func TestTheSameTokenWithANewExpiryIsNotSentAgain(t *testing.T) {
	_, server := mailbox(t)
	n := 0
	_, err := connectWith(t, "imap://"+server.Addr()+"?tls=none", func(context.Context, error) (imap.Credentials, error) {
		n++
		return imap.Credentials{User: account, Password: "wrong", Expiry: time.Now().Add(time.Duration(n) * time.Hour)}, nil
	})
	assert.True(t, driver.IsPermanent(err), "%v", err)
	assert.Equal(t, 2, n)
	assert.Equal(t, 1, server.Stats().Accepted)
}

func TestWhileARefusalIsDoubtedThereIsOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, server, config := inMemory(t, time.Second)
		n := 0
		config.User, config.Password = "", ""
		config.Credentials = func(context.Context, error) (imap.Credentials, error) {
			if n++; n == 1 {
				return imap.Credentials{User: account, Password: password}, nil
			}
			return imap.Credentials{User: account, Password: fmt.Sprint("revoked ", n)}, nil
		}
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		logins := func(want int) (err error) {
			t.Helper()
			before := server.Stats().Accepted
			_, err = connectTo(t, connector)
			assert.Equal(t, before+want, server.Stats().Accepted)
			return err
		}
		require.NoError(t, logins(1))
		mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed})
		assert.False(t, driver.IsPermanent(logins(2)), "a token and a fresh one")
		<-time.After(2 * time.Second)
		go func() {
			<-time.After(500 * time.Millisecond)
			pause, ok := driver.RetryAfter(logins(0))
			assert.True(t, ok)
			assert.Positive(t, pause)
		}()
		assert.True(t, driver.IsPermanent(logins(1)), "the probe")
		assert.True(t, driver.IsPermanent(logins(2)), "at once, with both tokens")
	})
}

// If a server locks accounts after a few wrong passwords, a busy pool whose credentials
// are revoked must not lock one.
func TestRevokedCredentialsAreTriedAtMostThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, server, config := inMemory(t, 0)
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		p, err := pool.New[*imap.Conn](connector, pool.Config{})
		require.NoError(t, err)
		defer p.Close()
		noop := func() error {
			return p.Do(t.Context(), func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() })
		}
		require.NoError(t, noop())
		mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed})
		mail.Bye("revoked")
		before := server.Stats().Accepted
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for !driver.IsPermanent(noop()) { // a caller that keeps trying
				}
			})
		}
		all.Wait()
		assert.LessOrEqual(t, server.Stats().Accepted-before, 3)
	})
}

func TestASecretThatTheServerRepeatsIsHidden(t *testing.T) {
	quoted := `s3"cr\et`
	for _, tc := range []struct {
		name, password, answer string
		bad, permanent         bool
	}{
		{"as it is", password, `TAG BAD cannot parse LOGIN "ada" "` + password + "\"\r\n", false, true},
		{"in quotes", quoted, `TAG NO what is "s3\"cr\\et"?` + "\r\n", false, true},
		{"in base64", password, "TAG NO [ALERT] what is " + encoded("\x00ada\x00"+password) + "?\r\n", false, true},
		{"in part", password, `TAG BAD too long: LOGIN "ada" "` + password[:5] + "...\r\n", false, true},
		{"in a farewell", password, "* BYE cannot parse " + password + "\r\n", true, false},
		{"in no answer at all", password, "* " + password + "\r\n", true, false}, // go-imap repeats it in capitals
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := script(t, greeting(""), "C: LOGIN", tc.answer, "HANG UP")
			config, err := imap.ParseDSN("imap://" + addr + "?tls=none")
			require.NoError(t, err)
			config.User, config.Password = "ada", tc.password
			connector, err := imap.NewConnector(config)
			require.NoError(t, err)
			_, err = connectTo(t, connector)
			require.ErrorContains(t, err, "(hidden, because it may repeat the password)")
			text := strings.ToLower(err.Error())
			for _, secret := range []string{tc.password[:5], `s3\"cr`, encoded("\x00ada\x00" + password)[:12]} {
				assert.NotContains(t, text, strings.ToLower(secret))
			}
			if tc.bad { // otherwise the end may have been noticed by now, or not
				assert.True(t, driver.IsBad(err))
			}
			assert.Equal(t, tc.permanent, driver.IsPermanent(err))
		})
	}
	addr := script(t, greeting("AUTH=XOAUTH2 SASL-IR"), "C: XOAUTH2", "+ "+encoded("no such token: t0ken")+"\r\n", "C: \r\n", "TAG NO failed\r\n")
	_, err := connectWith(t, "imap://"+addr+"?tls=none", func(context.Context, error) (imap.Credentials, error) {
		return imap.Credentials{User: "joe", Token: "t0ken"}, nil
	})
	require.ErrorContains(t, err, "NO failed")
	assert.NotContains(t, err.Error(), "t0ken")
	addr = script(t, greeting(""), "C: LOGIN", "* BYE Too many, "+password+"\r\n", "HANG UP")
	_, err = tryDial(t, plainDSN(addr, "?tls=none"))
	_, throttled := driver.RetryAfter(err)
	assert.True(t, throttled, "%v", err)
	assert.NotContains(t, err.Error(), password)
}

func TestHidingTheTextKeepsTheClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connector, err := imap.NewConnector(scripted(t, plainDSN("localhost", "?tls=none"), greeting(""), "C: LOGIN", "* BYE no such user, "+password+"\r\n"))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = connector.Connect(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "BYE (hidden")
	})
}

// Our own error texts may contain the password, because any word may be a password.
func TestAPasswordIsNotHiddenFromOurOwnWords(t *testing.T) {
	addr := script(t, greeting("AUTH=SCRAM-SHA-256 SASL-IR"), "C: AUTHENTICATE", welcome)
	_, err := connectWith(t, "imap://ada:password@"+addr+"?tls=none", nil)
	require.EqualError(t, err, "imap: login by SCRAM-SHA-256: the server has not proved that it knows the password; it may belong to an attacker")
	assert.True(t, driver.IsPermanent(err))
}

func TestACredentialsFunctionMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, _, config := inMemory(t, 0)
		panics := false
		config.User, config.Password = "", ""
		config.Credentials = func(context.Context, error) (imap.Credentials, error) {
			if panics {
				panic("boom")
			}
			return imap.Credentials{User: account, Password: password}, nil
		}
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		connect := func() error { _, err := connectTo(t, connector); return err }
		require.NoError(t, connect())
		mail.Refuse(&goimap.Error{Type: goimap.StatusResponseTypeNo, Code: goimap.ResponseCodeAuthenticationFailed})
		require.Error(t, connect())
		<-time.After(2 * time.Second)
		panics = true
		assert.PanicsWithValue(t, "boom", func() { connect() }, "the probe")
		panics = false
		mail.Refuse(nil)
		assert.NoError(t, connect(), "another probe")
	})
}

func TestAConnectionWhoseTokenExpiresLogsOut(t *testing.T) {
	heard := make(chan string, 20)
	addr := yesMan(t, greeting(""), heard)
	c, err := connectWith(t, "imap://"+addr+"?tls=none", func(context.Context, error) (imap.Credentials, error) {
		return imap.Credentials{User: account, Password: password, Expiry: time.Now()}, nil
	})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	assert.Equal(t, "LOGOUT", last(heard))
}

// last returns the last string in ch.
func last(ch <-chan string) (s string) {
	for len(ch) > 0 {
		s = <-ch
	}
	return s
}
