package imap_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
)

func TestParseDSN(t *testing.T) {
	at := func(address string) tcp.Config { return tcp.Config{Address: address} }
	for _, tc := range []struct {
		dsn  string
		want imap.Config
	}{
		{"imaps://u:p@h", imap.Config{TCP: at("h:993"), Encryption: imap.Implicit, User: "u", Password: "p"}},
		{"imap://u:p@h", imap.Config{TCP: at("h:143"), Encryption: imap.StartTLS, User: "u", Password: "p"}},
		{"imap://u:p@[::1]:1143/?tls=none", imap.Config{TCP: at("[::1]:1143"), Encryption: imap.None, User: "u", Password: "p"}},
		{
			"imaps://joe%40example.org:%2F%3A%23%25@h:1/Sent%20Mail/2024%2Fq?auth=SCRAM-SHA-256&authzid=a,b&insecure_auth=true&readonly=true" +
				"&reset=keep&id=my+app&enable=UTF8%3DACCEPT,METADATA&srv=true&server_name=n&keepalive_idle=20s",
			imap.Config{
				TCP:        tcp.Config{Address: "h:1", KeepAliveIdle: 20 * time.Second},
				TLS:        tls.ClientConfig{ServerName: "n"},
				Encryption: imap.Implicit, User: "joe@example.org", Password: "/:#%", Auth: "SCRAM-SHA-256", AuthzID: "a,b", InsecureAuth: true,
				Mailbox: "Sent Mail/2024/q", ReadOnly: true, Reset: imap.ResetKeep, ID: &goimap.IDData{Name: "my app"},
				Enable: []goimap.Cap{"UTF8=ACCEPT", "METADATA"}, SRV: true,
			},
		},
	} {
		t.Run(tc.dsn, func(t *testing.T) {
			config, err := imap.ParseDSN(tc.dsn)
			require.NoError(t, err)
			assert.True(t, assert.ObjectsAreEqual(tc.want, config), "%s", config)
		})
	}
}

func TestADSNNamesItsFault(t *testing.T) {
	for _, tc := range []struct{ name, dsn, want string }{
		{"another scheme", "pop://u:p@h", `imap: scheme "pop": want imap or imaps`},
		{"no host", "imaps://u:p@", "imap: host: want one, as in imaps://user:password@host"},
		{"no user", "imaps://h", "imap: user: want one, as in imaps://user:password@host, or a client certificate"},
		{"another TLS with imaps", "imaps://u:p@h?tls=none", `imap: tls "none": want the scheme imap with it`},
		{"TLS from the first byte without imaps", "imap://u:p@h?tls=implicit", `imap: tls "implicit": want the scheme imaps with it`},
		{"a second line in the name", "imaps://u:p@h?id=x%22)%0D%0AX1%20DELETE%20Archive", "imap: id Name: want printable ASCII"},
		{"a name that is not ASCII", "imaps://u:p@h?id=M%C3%BCller", "imap: id Name: want printable ASCII"},
		{"an unknown TLS", "imap://u:p@h?tls=ssl", `dsn: parameter tls="ssl": want implicit or starttls or none`},
		{"an unknown mechanism", "imaps://u:p@h?auth=CRAM-MD5",
			`dsn: parameter auth="CRAM-MD5": want SCRAM-SHA-256 or PLAIN or LOGIN or OAUTHBEARER or XOAUTH2 or EXTERNAL`},
		{"the mechanism in the user", "imaps://joe;AUTH=PLAIN:p@h", "imap: user: want no ;AUTH= in it; write auth="},
		{"readonly without a mailbox", "imaps://u:p@h?readonly=true", "imap: readonly: want a mailbox too, as in imaps://user:password@host/INBOX"},
		{"a typo", "imaps://u:p@h?read_only=true", "dsn: unknown parameter read_only; the nearest known one is readonly"},
		{"an unknown extension", "imaps://u:p@h?enable=CONDSTORE", `imap: enable "CONDSTORE": want some of [IMAP4rev2 UTF8=ACCEPT METADATA METADATA-SERVER]`},
		{"a fault of TLS", "imaps://u:p@h?min_version=2", `tls: min_version "2": want 1.0, 1.1, 1.2 or 1.3`},
		{"a fault of TCP", "imaps://u:p@h?local_addr=x", `tcp: local_addr "x": want an IP address`},
		{"an unescaped password", "imaps://u:a/hunter2@h", "dsn: port: want a number from 1 to 65535; in user and password, percent-encode everything except letters and digits"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := driver.OpenConnector("imaps", tc.dsn)
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestAConfigNamesItsFaults(t *testing.T) {
	config, err := imap.ParseDSN("imaps://u:p@h")
	require.NoError(t, err)
	config.Credentials = tokens(nil)
	config.ID = &goimap.IDData{Name: `"\`, OS: "a\x7f", SupportURL: "\n"}
	config.TCP.Network = "unix"
	config.Encryption, config.Auth, config.Reset, config.TCP.PingBytes, config.TCP.PongBytes = "a", "b", "c", "d", "e"
	_, err = imap.NewConnector(config)
	require.EqualError(t, err, `imap: tls "a": want implicit or starttls or none
imap: auth "b": want SCRAM-SHA-256 or PLAIN or LOGIN or OAUTHBEARER or XOAUTH2 or EXTERNAL
imap: reset "c": want unselect or keep or discard
imap: handshake, ping: want neither; the driver has its own
imap: network unix: want tcp
imap: user and password: want none with a Credentials function
imap: id OS: want printable ASCII
imap: id SupportURL: want printable ASCII`)
}

func TestNothingPrintsASecret(t *testing.T) {
	config, err := imap.ParseDSN("imap://joe:hunter2@h?proxy=socks5://u:hunter2@p:1")
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "imap joe@h:143", fmt.Sprintf(verb, config))
		assert.Equal(t, "credentials of joe", fmt.Sprintf(verb, imap.Credentials{User: "joe", Password: "hunter2", Token: "hunter2"}))
	}
}

func TestAdvice(t *testing.T) {
	connector, err := driver.OpenConnector("imaps", "imaps://joe:p@h")
	require.NoError(t, err)
	want := driver.Advice{
		Name: "imaps joe@h:993", MaxOpen: 4, MaxConnecting: 2, ConnectTimeout: 30 * time.Second, KeepAlive: 4 * time.Minute, PingTimeout: 15 * time.Second, MaxIdleTime: 10 * time.Minute,
		MaxLifetime: 4 * time.Hour, Conn: (*imap.Conn)(nil),
	}
	assert.Equal(t, want, connector.(driver.Advisor).Advice())
	connector, err = driver.OpenConnector("imaps", "imaps://joe:p@h?auth=XOAUTH2")
	require.NoError(t, err)
	want.MaxLifetime = 25 * time.Minute
	assert.Equal(t, want, connector.(driver.Advisor).Advice())
}

// Users rely on the table in the package documentation.
func TestThePackageDocumentsEachParameter(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	require.NoError(t, err)
	_, table, ok := strings.Cut(file.Doc.Text(), "\tname           type  default   meaning\n")
	require.True(t, ok, "the table's head")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for line := range strings.Lines(table) {
		documented = append(documented, strings.Fields(line)[0])
	}
	var inherited dsn.Params
	inherited.Struct(new(tcp.Config), "ping", "pong", "connect_ping")
	inherited.Struct(new(tls.ClientConfig))
	assert.Equal(t, imap.ParamNames(), append(inherited.Names(), documented...))
}

func FuzzOpenConnector(f *testing.F) {
	f.Add("imaps://u:", "@h/INBOX?readonly=true", "auth=PLAIN")
	f.Add("imap://u:", "@[::1]:143/a%2Fb", "tls=none&enable=IMAP4rev2")
	f.Add("imap://", "@h", "id=&srv=1&proxy=http://u:p@h:1")
	f.Add("A://?", "0", "0") // in the name of a parameter
	f.Fuzz(func(t *testing.T, before, after, query string) {
		const secret = "hunter2"
		if strings.Contains(before+after+query, secret) {
			t.Skip("other parts of the DSN contain the secret's text")
		}
		text := before + secret + after + "&" + query
		config, err := imap.ParseDSN(text)
		if err != nil {
			require.NotContains(t, err.Error(), secret)
			return
		}
		u, err := dsn.Parse(text)
		require.NoError(t, err)
		again, err := imap.ParseDSN(u.Unredacted())
		require.NoError(t, err)
		require.True(t, assert.ObjectsAreEqual(config, again), "parse, print, parse")
		if config.TLS.CA+config.TLS.Cert+config.TLS.Key != "" {
			t.Skip("files of the machine")
		}
		if u.Password != "" && !strings.Contains(u.Host+u.User, secret) {
			require.NotContains(t, fmt.Sprintf("%+v", config), secret)
		}
		if _, err := imap.NewConnector(config); err != nil && u.Password == secret {
			require.NotContains(t, err.Error(), secret)
		}
	})
}
