package imap_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testserver"
)

// tokens returns a Credentials function that returns the elements of all in turn, and
// records the refusals.
func tokens(refusals *[]error, all ...string) func(context.Context, error) (imap.Credentials, error) {
	return func(_ context.Context, refused error) (imap.Credentials, error) {
		if refusals != nil {
			*refusals = append(*refusals, refused)
		}
		if len(all) == 0 {
			return imap.Credentials{}, errors.New("no more tokens")
		}
		token := all[0]
		all = all[1:]
		return imap.Credentials{User: "joe,a=b", Token: token}, nil
	}
}

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func greeting(caps string) string {
	return "* OK [CAPABILITY " + strings.TrimSpace("IMAP4rev1 "+caps) + "] hi\r\n"
}

const welcome = "TAG OK [CAPABILITY IMAP4rev1] in\r\n"

func TestTheBestMechanismIsChosen(t *testing.T) {
	for _, tc := range []struct {
		name, caps, query string
		creds             func(context.Context, error) (imap.Credentials, error)
		says              string
	}{
		{"PLAIN", "AUTH=PLAIN SASL-IR", "", nil, "AUTHENTICATE PLAIN " + encoded("\x00u\x00p")},
		{"LOGIN if there is no mechanism", "", "", nil, `LOGIN "u" "p"`},
		{"LOGIN if it is set", "AUTH=PLAIN SASL-IR", "&auth=LOGIN", nil, `LOGIN "u" "p"`},
		{"SCRAM over plain text", "AUTH=PLAIN AUTH=SCRAM-SHA-256 SASL-IR", "", nil, "AUTHENTICATE SCRAM-SHA-256 " + encoded("n,,n=u,r=")[:10]},
		{"acting as another", "AUTH=PLAIN SASL-IR", "&authzid=boss", nil, "AUTHENTICATE PLAIN " + encoded("boss\x00u\x00p")},
		{"EXTERNAL", "AUTH=EXTERNAL SASL-IR", "&auth=EXTERNAL&authzid=joe", nil, "AUTHENTICATE EXTERNAL " + encoded("joe")},
		{"XOAUTH2", "AUTH=XOAUTH2 SASL-IR", "", tokens(nil, "t", "t"), "AUTHENTICATE XOAUTH2 " + encoded("user=joe,a=b\x01auth=Bearer t\x01\x01")},
		{"OAUTHBEARER", "AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "", tokens(nil, "t", "t"), "AUTHENTICATE OAUTHBEARER " + encoded("n,a=joe=2Ca=3Db,")[:16]},
		{"a token as the password", "AUTH=PLAIN AUTH=XOAUTH2 SASL-IR", "&auth=XOAUTH2", nil, "AUTHENTICATE XOAUTH2 " + encoded("user=u\x01auth=Bearer p\x01\x01")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := script(t, greeting(tc.caps), "C: "+tc.says, "TAG NO [CONTACTADMIN] no\r\n")
			_, err := connectWith(t, "imap://u:p@"+addr+"?tls=none"+tc.query, tc.creds)
			assert.ErrorContains(t, err, "[CONTACTADMIN]")
			assert.True(t, driver.IsPermanent(err))
		})
	}
}

func connectWith(t *testing.T, dsn string, creds func(context.Context, error) (imap.Credentials, error)) (*imap.Conn, error) {
	t.Helper()
	config, err := imap.ParseDSN(dsn)
	require.NoError(t, err)
	if creds != nil {
		config.User, config.Password, config.Credentials = "", "", creds
	}
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	return connectTo(t, connector)
}

func TestNoWayToLogIn(t *testing.T) {
	for _, tc := range []struct{ name, caps, query, want string }{
		{"LOGIN is off", "LOGINDISABLED", "", "imap: no way to log in: the server offers none, but these credentials need SCRAM-SHA-256, PLAIN, LOGIN"},
		{"no mechanism for tokens", "AUTH=PLAIN", "&auth=LOGIN", "imap: no way to log in: the server offers PLAIN, but these credentials need LOGIN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := scripted(t, "imap://u:p@localhost?tls=none"+tc.query, greeting(tc.caps+" LOGINDISABLED"))
				require.EqualError(t, wantPermanentIfAgain(t, config), tc.want)
			})
		})
	}
}

// elsewhere is a DSN whose host is not this machine.
const elsewhere = "imap://u:hunter2@mail.example.org?tls=none"

func TestNoSecretGoesOverPlainTextToAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, query := range []string{"", "&auth=PLAIN", "&auth=LOGIN", "&auth=XOAUTH2", "&auth=OAUTHBEARER"} {
			config := scripted(t, elsewhere+query, greeting("AUTH=PLAIN AUTH=XOAUTH2 SASL-IR"), "C: nothing", "* BYE\r\n")
			require.ErrorContains(t, wantPermanentIfAgain(t, config),
				"no way to log in over plain text to another host: the server offers PLAIN XOAUTH2; use TLS, or insecure_auth=true")
		}
		config := scripted(t, elsewhere+"&insecure_auth=true", greeting("AUTH=PLAIN SASL-IR"), "C: AUTHENTICATE PLAIN", welcome)
		_, err := connectAs(t, config)
		require.NoError(t, err)
		config = scripted(t, elsewhere, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
		require.ErrorContains(t, wantPermanentIfAgain(t, config), "the server skipped the login (PREAUTH) over plain text; it may belong to an attacker")
	})
}

// The localhost of a proxy is another host, and so is the proxy.
func TestNoSecretGoesOverPlainTextToAProxy(t *testing.T) {
	const proxied = "imap://" + login + "localhost?tls=none&proxy=http://proxy:1"
	accepts := func(hello ...string) []string {
		return append([]string{"C: CONNECT localhost:143", "HTTP/1.1 200 OK\r\n\r\n"}, hello...)
	}
	synctest.Test(t, func(t *testing.T) {
		for _, hello := range []string{greeting(""), "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n"} {
			config := scripted(t, proxied, accepts(hello, "C: nothing", "* BYE\r\n")...)
			require.ErrorContains(t, wantPermanentIfAgain(t, config), "over plain text")
		}
		c, err := connectAs(t, scripted(t, proxied+"&insecure_auth=true", accepts(greeting(""), "C: LOGIN", welcome)...))
		require.NoError(t, err)
		assert.Equal(t, "LOGIN", c.Mechanism())
	})
}

// connectAs connects once.
func connectAs(t *testing.T, config imap.Config) (*imap.Conn, error) {
	t.Helper()
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	return connectTo(t, connector)
}

// A server may offer SCRAM without having a SCRAM secret for this account.
func TestARefusalBySCRAMNamesTheOtherMechanisms(t *testing.T) {
	const refusal, has = "NO [AUTHENTICATIONFAILED] no secret", "AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR"
	const others = "; the server also offers PLAIN, LOGIN, which would show the password to eavesdroppers: use TLS, or auth=PLAIN"
	for _, tc := range []struct{ name, dsn, caps, answer, want string }{
		{"on this machine", "imap://u:p@localhost?tls=none", has, refusal, refusal + others},
		{"on another host", elsewhere, has, refusal, refusal + others + " and insecure_auth=true"},
		{"if LOGIN is off", elsewhere, has + " LOGINDISABLED", refusal, "the server also offers PLAIN, which would show"},
		{"if there is no other", elsewhere, "AUTH=SCRAM-SHA-256 SASL-IR LOGINDISABLED", refusal, refusal},
		{"if SCRAM is set", "imap://u:p@localhost?tls=none&auth=SCRAM-SHA-256", has, refusal, refusal},
		{"if the server is full", "imap://u:p@localhost?tls=none", has, "NO [LIMIT] later", "NO [LIMIT] later"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := scripted(t, tc.dsn, greeting(tc.caps), "C: AUTHENTICATE SCRAM-SHA-256", "TAG "+tc.answer+"\r\n", "C: nothing is sent again")
				_, err := connectAs(t, config)
				require.ErrorContains(t, err, tc.want)
				assert.Equal(t, strings.Contains(tc.want, "the server also offers"), strings.Contains(err.Error(), "the server also offers"))
				assert.Equal(t, tc.answer == refusal, driver.IsPermanent(err))
			})
		})
	}
}

// scramServer serves SCRAM-SHA-256 (RFC 7677).
func scramServer(t *testing.T, password string, iterations int, spoil func(challenge, final *string)) string {
	t.Helper()
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", func(l net.Listener) {
		c, err := l.Accept()
		if err != nil {
			return
		}
		buffer := make([]byte, 4096)
		read := func() string { n, _ := c.Read(buffer); return strings.TrimSpace(string(buffer[:n])) }
		decode := func(s string) string { b, _ := base64.StdEncoding.DecodeString(s); return string(b) }
		fmt.Fprint(c, greeting("AUTH=SCRAM-SHA-256 SASL-IR"))
		words := strings.Fields(read())
		bare := strings.TrimPrefix(decode(words[len(words)-1]), "n,,")
		_, nonce, _ := strings.Cut(bare, "r=")
		challenge := fmt.Sprintf("r=%sserver,s=%s,i=%d", nonce, encoded("salt"), iterations)
		key, _ := pbkdf2.Key(sha256.New, password, []byte("salt"), max(iterations, 1), sha256.Size)
		final := ""
		spoil(&challenge, &final)
		fmt.Fprintf(c, "+ %s\r\n", encoded(challenge))
		answer := decode(read())
		without, proof, _ := strings.Cut(answer, ",p=")
		message := bare + "," + challenge + "," + without
		clientKey := sum(key, "Client Key")
		stored := sha256.Sum256(clientKey)
		signature := sum(stored[:], message)
		for i := range signature {
			signature[i] ^= clientKey[i]
		}
		if proof != base64.StdEncoding.EncodeToString(signature) {
			fmt.Fprintf(c, "%s NO [AUTHENTICATIONFAILED] wrong\r\n", words[0])
		} else {
			if final == "" {
				final = "v=" + base64.StdEncoding.EncodeToString(sum(sum(key, "Server Key"), message))
			}
			if final != "-" {
				fmt.Fprintf(c, "+ %s\r\n", encoded(final))
				assert.Empty(t, read(), "the answer to the server's proof")
			}
			fmt.Fprint(c, strings.ReplaceAll(welcome, "TAG", words[0]))
		}
		play(c, nil)
	})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server.Addr()
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestSCRAM(t *testing.T) {
	none := func(_, _ *string) {}
	for _, tc := range []struct {
		name, password string
		iterations     int
		spoil          func(challenge, final *string)
		want           string
	}{
		{"right", "p,=", 4096, none, ""},
		{"a wrong password", "other", 4096, none, "[AUTHENTICATIONFAILED] wrong"},
		{"too few iterations", "p,=", 4095, none, "SCRAM challenge violates RFC 7677"},
		{"too many iterations", "p,=", 4096, func(c, _ *string) { *c = strings.Replace(*c, "i=4096", "i=9999999", 1) }, "SCRAM challenge violates RFC 7677"},
		{"another nonce", "p,=", 4096, func(c, _ *string) { *c = "r=x" + (*c)[2:] }, "SCRAM challenge violates RFC 7677"},
		{"our nonce alone", "p,=", 4096, func(c, _ *string) { *c = strings.Replace(*c, "server,", ",", 1) }, "SCRAM challenge violates RFC 7677"},
		{"a salt that is not base64", "p,=", 4096, func(c, _ *string) { *c = strings.Replace(*c, ",s=", ",s=?", 1) }, "SCRAM challenge violates RFC 7677"},
		{"no salt", "p,=", 4096, func(c, _ *string) { *c = strings.Replace(*c, encoded("salt"), "", 1) }, "SCRAM challenge violates RFC 7677"},
		{"an extension that is mandatory", "p,=", 4096, func(c, _ *string) { *c = "m=x," + *c }, "SCRAM challenge violates RFC 7677"},
		{"no count", "p,=", 4096, func(c, _ *string) { *c = strings.Replace(*c, "i=4096", "i=many", 1) }, "SCRAM challenge violates RFC 7677"},
		{"a server with another password", "p,=", 4096, func(_, f *string) { *f = "v=" + encoded(strings.Repeat("x", sha256.Size)) }, "the server has not proved that it knows the password"},
		{"a server without the password", "p,=", 4096, func(_, f *string) { *f = "v=" + encoded("no") }, "the server has not proved that it knows the password"},
		{"a server that proves nothing", "p,=", 4096, func(_, f *string) { *f = "-" }, "the server has not proved that it knows the password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := scramServer(t, tc.password, tc.iterations, tc.spoil)
			c, err := connectWith(t, "imap://u:p%2C%3D@"+addr+"?tls=none", nil)
			if tc.want == "" {
				require.NoError(t, err)
				assert.Equal(t, "SCRAM-SHA-256", c.Mechanism())
				return
			}
			require.ErrorContains(t, err, tc.want)
			assert.True(t, driver.IsPermanent(err))
		})
	}
}

// A wrong password that SCRAM itself reports is a refusal like any other.
func TestAWrongPasswordInSCRAMIsARefusal(t *testing.T) {
	for reason, want := range map[string]string{"invalid-proof": `imap: NO SCRAM "invalid-proof"`, "s3cret?": "imap: NO (hidden"} {
		addr := scramServer(t, "s3cret", 4096, func(_, final *string) { *final = "e=" + reason })
		var refusals []error
		_, err := connectWith(t, "imap://"+addr+"?tls=none", func(_ context.Context, refused error) (imap.Credentials, error) {
			refusals = append(refusals, refused)
			return imap.Credentials{User: "u", Password: "s3cret"}, nil
		})
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cret")
		assert.True(t, driver.IsPermanent(err))
		assert.Len(t, refusals, 2, "fresh credentials are asked for")
	}
}

func TestAWrongChallengeIsPermanentThoughTheServerHangsUp(t *testing.T) {
	addr := script(t, greeting("AUTH=SCRAM-SHA-256 SASL-IR"), "C: AUTHENTICATE", "+ "+encoded("r=abc")+"\r\n", "HANG UP")
	for range 20 { // either may be noticed first
		_, err := connectWith(t, "imap://u:p@"+addr+"?tls=none", nil)
		require.ErrorContains(t, err, "SCRAM challenge violates RFC 7677")
		assert.True(t, driver.IsPermanent(err), "%v", err)
	}
}
