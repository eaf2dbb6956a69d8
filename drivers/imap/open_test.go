package imap_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestAServerThatRefusesUs(t *testing.T) {
	type class struct {
		permanent, throttled bool
		pause                time.Duration
		full                 bool
		again                bool // permanent if it is the same 2 seconds later
	}
	transient, permanent, full, ifAgain := class{}, class{permanent: true}, class{throttled: true, pause: time.Second, full: true}, class{again: true}
	throttled := func(pause time.Duration) class { return class{throttled: true, pause: pause} }
	for _, tc := range []struct {
		name  string
		lines []string
		query string
		want  class
		text  string
	}{
		{"says BYE", []string{"* BYE Server shutting down.\r\n"}, "?tls=none", transient, "BYE Server shutting down."},
		{"says BYE before STARTTLS", []string{"* BYE Server shutting down.\r\n"}, "", transient, "BYE Server shutting down."},
		{"is full at the greeting", []string{"* BYE Too many connections from your IP\r\n"}, "?tls=none", full, "Too many"},
		{"is full before STARTTLS", []string{"* BYE [ALERT] Too many connections\r\n"}, "", full, "Too many"},
		{"has no STARTTLS", []string{"* OK hi\r\n", "C: STARTTLS", "TAG BAD what?\r\n"}, "", ifAgain, "does not support STARTTLS: imap: BAD what?; tls=none would use plain text"},
		{"is full at STARTTLS", []string{"* OK hi\r\n", "C: STARTTLS", "* BYE Too many connections\r\n", "HANG UP"}, "", full, "Too many"},
		{"shuts down at STARTTLS", []string{"* OK hi\r\n", "C: STARTTLS", "* BYE Server shutting down.\r\n", "HANG UP"}, "", transient, "BYE Server shutting down."},
		{"has no STARTTLS for now", []string{"* OK hi\r\n", "C: STARTTLS", "TAG NO [UNAVAILABLE] later\r\n"}, "", throttled(0), "[UNAVAILABLE]"},
		{"has no STARTTLS left", []string{"* OK hi\r\n", "C: STARTTLS", "TAG NO [LIMIT] later\r\n"}, "", full, "[LIMIT]"},
		{"is in use at the greeting", []string{"* BYE [INUSE] later\r\n"}, "?tls=none", full, "[INUSE]"},
		{"is an attacker", []string{"* OK hi\r\n", "C: STARTTLS", "TAG OK begin\r\nT1 OK [CAPABILITY] injected\r\n"}, "", ifAgain, "it may come from an attacker"},
		{"logs us in before STARTTLS", []string{"* PREAUTH hi\r\n"}, "", ifAgain, "it may belong to an attacker"},
		{"is a POP server", []string{"+OK POP3 ready\r\n"}, "?tls=none", ifAgain, `does not speak IMAP on this port; it begins with "+OK POP3 ready"`},
		{"is a POP server asked for STARTTLS", []string{"+OK POP3 ready\r\n"}, "", ifAgain, `does not speak IMAP on this port; it begins with "+OK POP3 ready"`},
		{"is an SMTP server", []string{"220 mx ESMTP\r\n"}, "?tls=none", ifAgain, `it begins with "220 mx ESMTP"`},
		{"is an HTTP server", []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, "?tls=none", ifAgain, `it begins with "HTTP/1.1 400 Bad Request"`},
		{"sends a page", []string{"HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat("* page\r\n", 100)}, "?tls=none", ifAgain,
			`it begins with "HTTP/1.1 400 Bad Request"`},
		{"sends an endless greeting", []string{"* OK " + strings.Repeat("x", 1<<20)}, "?tls=none", transient, "more than 65536 bytes before the login was done"},
		{"sends endless capabilities", login1("* CAPABILITY " + strings.Repeat("X ", 1<<20)), "?tls=none", transient, "more than 65536 bytes before the login was done"},
		{"sends an endless literal", login1("* LIST () \"/\" {1000000}\r\n" + strings.Repeat("x", 1000000)), "?tls=none", transient, "more than 65536 bytes before the login was done"},
		{"is talkative", []string{strings.Repeat("x", 100) + "\r\n"}, "?tls=none", ifAgain, `it begins with "` + strings.Repeat("x", 40) + `"`},
		{"has no LOGIN left", login1("TAG NO [LIMIT] Maximum number of connections from user+IP exceeded"), "?tls=none", full, "[LIMIT]"},
		{"is Cyrus and full", login1("TAG NO Too many open connections (3 of 3 for ada@example.org)"), "?tls=none", full, "Too many"},
		{"is an old Dovecot and full", login1("TAG NO [ALERT] Maximum number of connections from user+IP exceeded"), "?tls=none", full, "Maximum"},
		{"is Gmail and full", login1("TAG NO [ALERT] Too many simultaneous connections. (Failure)"), "?tls=none", full, "[ALERT]"},
		{"is Gmail and has had enough", login1("TAG NO [ALERT] Account exceeded command or bandwidth limits. (Failure)"), "?tls=none",
			throttled(30 * time.Second), "[ALERT]"},
		{"is not there for now", login1("TAG NO [UNAVAILABLE] Temporary authentication failure."), "?tls=none", throttled(0), "[UNAVAILABLE]"},
		{"has a bug", login1("TAG NO [SERVERBUG] Internal error"), "?tls=none", transient, "[SERVERBUG]"},
		{"is Exchange and busy", login1("TAG BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"), "?tls=none",
			throttled(92415 * time.Millisecond), "BAD (hidden"},
		{"is Exchange and exaggerates", login1("TAG BAD Request is throttled. Suggested Backoff Time: 9999999 milliseconds"), "?tls=none",
			throttled(5 * time.Minute), "BAD (hidden"},
		{"knows no such user", login1("TAG NO [AUTHENTICATIONFAILED] no"), "?tls=none", permanent, "[AUTHENTICATIONFAILED]"},
		{"gives no reason", login1("TAG NO LOGIN failed."), "?tls=none", permanent, "LOGIN failed."},
		{"is in use, and hangs up in the login", login1("* BYE [INUSE] later\r\n", "HANG UP"), "?tls=none", full, "BYE"},
		{"hangs up in the login", login1("* BYE Autologout; idle for too long\r\n", "HANG UP"), "?tls=none", transient, "BYE Autologout"},
		{"has no such mailbox", login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n", "C: SELECT", "TAG NO [NONEXISTENT] Unknown mailbox"), "/Missing?tls=none", ifAgain,
			`mailbox "Missing"`},
		{"has no mailbox of a name like an error", login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n", "C: SELECT", "TAG NO [NONEXISTENT] No mailbox Too many news"),
			"/Too%20many%20news?tls=none", ifAgain, "[NONEXISTENT]"},
		{"has the mailbox in use", login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n", "C: SELECT", "TAG NO [INUSE] locked"), "/INBOX?tls=none", transient, "[INUSE]"},
		{"shuts down at SELECT", login1(welcome, "C: SELECT", "* BYE Server shutting down.\r\n", "HANG UP"), "/INBOX?tls=none", transient, "BYE Server shutting down."},
		{"is full at SELECT", login1(welcome, "C: SELECT", "* BYE Too many connections\r\n", "HANG UP"), "/INBOX?tls=none", full, "Too many"},
		{"does not ENABLE what it has", login1(canUTF8, "C: ENABLE", "TAG BAD what?"), "?tls=none&enable=UTF8%3DACCEPT", ifAgain, "ENABLE"},
		{"cannot ENABLE now", login1(canUTF8, "C: ENABLE", "TAG NO [UNAVAILABLE] later"), "?tls=none&enable=UTF8%3DACCEPT", transient, "[UNAVAILABLE]"},
		{"is busy at ENABLE", login1(canUTF8, "C: ENABLE", "TAG NO [THROTTLED] later"), "?tls=none&enable=UTF8%3DACCEPT", throttled(30 * time.Second), "[THROTTLED]"},
		{"shuts down at ENABLE", login1(canUTF8, "C: ENABLE", "* BYE Server shutting down.\r\n", "HANG UP"), "?tls=none&enable=UTF8%3DACCEPT", transient, "BYE Server shutting down."},
		{"hangs up at ENABLE", login1(canUTF8, "C: ENABLE", "HANG UP"), "?tls=none&enable=UTF8%3DACCEPT", transient, "ENABLE"},
		{"is Exchange and has given up", login1("TAG OK [CAPABILITY IMAP4rev1 ID] in\r\n", "C: ID",
			"TAG BAD User is authenticated but not connected."), "?tls=none", throttled(30 * time.Second), "not connected"},
		{"reports no capabilities", []string{"* OK hi\r\n", "C: CAPABILITY", "TAG BAD what?\r\n"}, "?tls=none", transient, "did not report its capabilities"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := scripted(t, plainDSN("localhost", tc.query), append(tc.lines, "\r\n")...)
				if tc.want == ifAgain {
					require.ErrorContains(t, wantPermanentIfAgain(t, config), tc.text)
					return
				}
				connector, err := imap.NewConnector(config)
				require.NoError(t, err)
				_, err = connectTo(t, connector)
				require.ErrorContains(t, err, tc.text)
				pause, throttled := driver.RetryAfter(err)
				assert.Equal(t, tc.want, class{driver.IsPermanent(err), throttled, pause, driver.IsFull(err), false}, "%v", err)
				assert.NotContains(t, err.Error(), password)
			})
		})
	}
	wantGoroutines(t, 0)
}

// login1 is a script that answers the first LOGIN with lines.
func login1(lines ...string) []string {
	return append([]string{"* OK [CAPABILITY IMAP4rev1] hi\r\n", "C: LOGIN"}, lines...)
}

// canUTF8 is a login after which there is something to ENABLE.
const canUTF8 = "TAG OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] in\r\n"

func TestAServerThatIsSilentIsBoundedByTheContext(t *testing.T) {
	ca := testcert.NewCA()
	for _, tc := range []struct {
		name, scheme string
		lines        []string
		want         string
	}{
		{"no greeting", "imap", nil, "no greeting; if the port uses TLS from the first byte, use the scheme imaps"},
		{"half a greeting", "imap", []string{"* OK [CAPA"}, "no greeting"},
		{"no answer to STARTTLS", "imap", []string{"* OK hi\r\n"}, "STARTTLS"},
		{"no handshake", "imaps", nil, "handshake"},
		{"no capabilities", "imap?tls=none", []string{"* OK hi\r\n"}, "CAPABILITY"},
		{"no answer to the login", "imap?tls=none", []string{"* OK [CAPABILITY IMAP4rev1] hi\r\n"}, "login by LOGIN"},
		{"half an answer", "imap?tls=none", login1("TAG OK [CAPA"), "login by LOGIN"},
		{"no answer to ENABLE", "imap?tls=none&enable=UTF8%3DACCEPT", login1(canUTF8), "ENABLE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				scheme, query, _ := cut(tc.scheme)
				config := scripted(t, scheme+"://"+login+"localhost"+query, tc.lines...)
				config.TLS.Base = ca.ClientConfig()
				connector, err := imap.NewConnector(config)
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				began := time.Now()
				_, err = connector.Connect(ctx)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, tc.want)
				assert.Less(t, time.Since(began), 2*time.Second)
				assert.False(t, driver.IsPermanent(err))
			})
		})
	}
	wantGoroutines(t, 0)
}

func cut(s string) (scheme, query string, ok bool) {
	for i := range s {
		if s[i] == '?' {
			return s[:i], s[i:], true
		}
	}
	return s, "", false
}

func TestTLSThatIsNotTrusted(t *testing.T) {
	ours, theirs := testcert.NewCA(), testcert.NewCA()
	mail := testserver.NewIMAP(account, password)
	mail.TLS = theirs.ServerConfig()
	start := serve(t, mail)
	implicit, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) { mail.Serve(tls.NewListener(l, theirs.ServerConfig())) })
	require.NoError(t, err)
	defer implicit.Close()
	for _, tc := range []struct{ scheme, addr, want string }{
		{"imap", start.Addr(), "the server's certificate"},
		{"imaps", implicit.Addr(), "the server's certificate"},
		{"imaps", start.Addr(), "the server does not speak TLS on this port"},
	} {
		config, err := imap.ParseDSN(tc.scheme + "://" + login + tc.addr)
		require.NoError(t, err)
		config.TLS.Base = ours.ClientConfig()
		connector, err := imap.NewConnector(config)
		require.NoError(t, err)
		_, err = connectTo(t, connector)
		require.ErrorContains(t, err, tc.want)
		assert.False(t, driver.IsPermanent(err), "drivers/tls waits to see whether it lasts")
	}
	assert.Zero(t, mail.Logins())
}

func TestCommandsSentOnEachConnection(t *testing.T) {
	heard := make(chan string, 20)
	addr := yesMan(t, greeting(""), heard) // it does not report its capabilities after the login
	c := dial(t, plainDSN(addr, "/INBOX?tls=none&id=my+app&enable=UTF8%3DACCEPT,METADATA&readonly=true"))
	assert.True(t, c.Caps().Has(goimap.CapID))
	assert.Equal(t, "INBOX", c.Mailbox())
	c.Close()
	assert.Equal(t, []string{`LOGIN "ada@example.org" "p4ss,w/rd@"`, `ID ("name" "my app")`, "ENABLE UTF8=ACCEPT", "EXAMINE INBOX", "LOGOUT"}, commandsIn(heard))
}

// commandsIn returns the commands heard so far, except CAPABILITY, which comes once or
// twice, because go-imap sends it too.
func commandsIn(heard <-chan string) (all []string) {
	for len(heard) > 0 {
		if command := <-heard; command != "CAPABILITY" {
			all = append(all, command)
		}
	}
	return all
}

func TestTheIDIsTheOneGivenToNewConnector(t *testing.T) {
	heard := make(chan string, 20)
	config, err := imap.ParseDSN(plainDSN(yesMan(t, greeting(""), heard), "?tls=none"))
	require.NoError(t, err)
	config.ID = &goimap.IDData{Name: `my "app\`, Version: "1"}
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	*config.ID = goimap.IDData{Name: "another\r\n"}
	_, err = connectTo(t, connector)
	require.NoError(t, err)
	assert.Contains(t, commandsIn(heard), `ID ("name" "my \"app\\" "version" "1")`)
}

func isThrottled(err error) bool {
	_, ok := driver.RetryAfter(err)
	return ok
}

func TestServersAreLookedUpInTheDNS(t *testing.T) {
	_, server := mailbox(t)
	portOf := func(address string) uint16 { return netip.MustParseAddrPort(address).Port() }
	port, silent, leaving := portOf(server.Addr()), portOf(script(t)), portOf(script(t, "* BYE Server shutting down.\r\n"))
	for _, tc := range []struct {
		name    string
		records []*net.SRV
		err     error
		want    string
		doubted bool
	}{
		{"the second answers", []*net.SRV{{Target: "127.0.0.1.", Port: 1}, {Target: "localhost.", Port: port}}, nil, "", false},
		{"one record is malformed", []*net.SRV{{Target: "localhost.", Port: port}}, errors.New("malformed"), "", false}, // net.Resolver returns the others
		{"no service", []*net.SRV{{Target: "."}}, nil, "imap: look up _imap._tcp.example.org: the domain has no such service", true},
		{"no answer", nil, errors.New("timeout"), "imap: look up _imap._tcp.example.org: timeout", false},
		{"the first shuts down", []*net.SRV{{Target: "127.0.0.1.", Port: leaving}, {Target: "localhost.", Port: port}}, nil, "", false},
		{"the first is silent", []*net.SRV{{Target: "127.0.0.1.", Port: silent}, {Target: "localhost.", Port: port}}, nil, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, err := imap.ParseDSN("imap://" + login + "example.org?tls=none&srv=true")
			require.NoError(t, err)
			config.LookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
				assert.Equal(t, []string{"imap", "tcp", "example.org"}, []string{service, proto, name})
				return "", tc.records, tc.err
			}
			connector, err := imap.NewConnector(config)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c, err := connector.Connect(ctx)
			if tc.want == "" {
				require.NoError(t, err)
				require.NoError(t, c.Close())
				return
			}
			require.EqualError(t, err, tc.want)
			assert.False(t, driver.IsPermanent(err))
			assert.Equal(t, tc.doubted, isThrottled(err))
		})
	}
}
