package dsn

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseReadsEveryPart(t *testing.T) {
	none := map[string]string{}
	for _, tc := range []struct {
		text string
		want URL
	}{
		{"tcp://127.0.0.1:2485", URL{Scheme: "tcp", Host: "127.0.0.1", Port: 2485, Params: none}},
		{"TCP://h", URL{Scheme: "tcp", Host: "h", Params: none}},
		{"x-a.b+1://", URL{Scheme: "x-a.b+1", Params: none}},
		{"imap://me@h", URL{Scheme: "imap", User: "me", Host: "h", Params: none}},
		{"imap://:pw@h", URL{Scheme: "imap", Password: "pw", Host: "h", Params: none}},
		{"imap://me%40corp:p%3Aw%2F%00%ff@h/INBOX/a%2Fb%20c",
			URL{Scheme: "imap", User: "me@corp", Password: "p:w/\x00\xff", Host: "h", Path: "/INBOX/a/b c", Params: none}},
		{"imap://me:p:w@d@h", URL{Scheme: "imap", User: "me", Password: "p:w@d", Host: "h", Params: none}},
		{"unix:///run/a%40b.sock", URL{Scheme: "unix", Path: "/run/a@b.sock", Params: none}},
		{"tcp://[::1]:80", URL{Scheme: "tcp", Host: "::1", Port: 80, Params: none}},
		{"tcp://[fe80::1%25eth0]", URL{Scheme: "tcp", Host: "fe80::1%eth0", Params: none}},
		{"tcp://h?a=1&b_2=x+y%2B%0a&&c&d=e=f?g",
			URL{Scheme: "tcp", Host: "h", Params: map[string]string{"a": "1", "b_2": "x y+\n", "c": "", "d": "e=f?g"}}},
		{"tcp://h?proxy=socks5://u:p@h:1080/",
			URL{Scheme: "tcp", Host: "h", Params: map[string]string{"proxy": "socks5://u:p@h:1080/"}}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			u, err := Parse(tc.text)
			require.NoError(t, err)
			assert.Equal(t, tc.want, *u)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no scheme", "h:80", "dsn: no scheme"},
		{"an empty text", "", "dsn: no scheme"},
		{"an odd scheme", "1a://h", "dsn: no scheme"},
		{"a scheme without slashes", "tcp:h", "dsn: no scheme"},
		{"a space", "tcp://h h", "dsn: character 8 is a space; percent-encode it as %20, or leave it out"},
		{"a newline at the end", "tcp://h?pong=PONG\n", "dsn: character 18 is a line feed; percent-encode it as %0A, or leave it out"},
		{"a newline after other letters", "tcp://ü:€@h\r\n", "dsn: character 12 is a carriage return; percent-encode it as %0D, or leave it out"},
		{"a tab", "\ttcp://h", "dsn: character 1 is a tab; percent-encode it as %09, or leave it out"},
		{"a control character", "tcp://h\x7f", "dsn: character 8 is a control character; percent-encode it as %7F, or leave it out"},
		{"a zero", "tcp://h\x00", "dsn: character 8 is a control character; percent-encode it as %00, or leave it out"},
		{"a fragment", "tcp://u:pa#ss@h", "dsn: unexpected #"},
		{"a bad escape in the user", "tcp://%zz:p@h", "dsn: user: want two hex digits after each %"},
		{"a bad escape in the password", "tcp://u:%4@h", "dsn: password: want two hex digits"},
		{"a bad escape in the host", "tcp://[::1%eth0]", "dsn: host: want two hex digits"},
		{"a bad escape in the path", "tcp://h/%", "dsn: path: want two hex digits"},
		{"a bad escape in a parameter", "tcp://h?a=%G1", "dsn: parameter 1: want two hex digits"},
		{"a name as port", "tcp://h:imap", "dsn: port: want a number from 1 to 65535"},
		{"no port after the colon", "tcp://h:", "dsn: port: want a number"},
		{"port 0", "tcp://h:0", "dsn: port: want a number"},
		{"port 65536", "tcp://h:65536", "dsn: port: want a number"},
		{"a signed port", "tcp://h:+80", "dsn: port: want a number"},
		{"a bare IPv6 address", "tcp://::1:80", "dsn: host: want letters, digits, dots and dashes, or an IPv6 address in brackets"},
		{"an odd host", "tcp://h!", "dsn: host: want letters"},
		{"brackets that stay open", "tcp://[::1", "dsn: host: want an IPv6 address in the brackets"},
		{"a name in brackets", "tcp://[h]", "dsn: host: want an IPv6 address in the brackets"},
		{"IPv4 in brackets", "tcp://[1.2.3.4]", "dsn: host: want an IPv6 address in the brackets"},
		{"an odd zone", "tcp://[fe80::1%25a%2fb]", "dsn: host: want an IPv6 address in the brackets"},
		{"text after the brackets", "tcp://[::1]x", "dsn: host: want an IPv6 address in the brackets"},
		{"an @ after the host", "tcp://u:12/34@h", "dsn: path: unexpected @ after the host"},
		{"an odd parameter name", "tcp://u:12?34@h", "dsn: parameter name: want letters"},
		{"a parameter without a name", "tcp://h?=1", "dsn: parameter name: want letters"},
		{"a parameter given twice", "tcp://h?a=1&a=1", "dsn: parameter 2 has the same name as an earlier one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := Parse(tc.text)
			require.ErrorContains(t, err, tc.want)
			assert.Nil(t, u)
		})
	}
}

func TestParseReportsAllFaultsOfTheParameters(t *testing.T) {
	_, err := Parse("tcp://h?a=%&b=1&b=2")
	require.EqualError(t, err, `dsn: parameter 1: want two hex digits after each %; write %25 for a percent sign
dsn: parameter 3 has the same name as an earlier one`)
}

// The / ends the host too early, and so the path has an @.
func TestParseReportsOneFaultForAnUnescapedPassword(t *testing.T) {
	_, err := Parse("tcp://u:a/b@h")
	require.EqualError(t, err, "dsn: port: want a number from 1 to 65535"+hint)
}

func TestUnredactedPrintsTheWholeText(t *testing.T) {
	u := URL{
		Scheme: "imap", User: "me@corp", Password: "a:b/c?d#e%f g@\x00\xff", Host: "fe80::1%eth0", Port: 143,
		Path: "/a@b", Params: map[string]string{"z": "&=?", "a": "x y"},
	}
	assert.Equal(t, "imap://me%40corp:a%3Ab%2Fc%3Fd%23e%25f%20g%40%00%FF@[fe80::1%25eth0]:143/a%40b?a=x+y&z=%26%3D%3F", u.Unredacted())
}

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	u, err := Parse("imap://me:hunter2@h:143/INBOX?token=hunter2&a=b")
	require.NoError(t, err)
	const want = "imap://me:xxxxx@h:143/INBOX?a=xxxxx&token=xxxxx"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, want, fmt.Sprintf(verb, u), verb)
		assert.Equal(t, want, fmt.Sprintf(verb, *u), verb)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("open", "dsn", u, "copy", *u)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("open", "dsn", u, "copy", *u)
	assert.Equal(t, 4, strings.Count(logged.String(), want[:20]))
	encoded, err := json.Marshal(struct{ U *URL }{u})
	require.NoError(t, err)
	assert.NotContains(t, logged.String()+string(encoded), "hunter2")
}

func FuzzParsePrintParse(f *testing.F) {
	f.Add("imap://me%40corp:p%3Aw@[fe80::1%25eth0]:143/INBOX/a%40b?starttls=required&x=%00")
	f.Add("unix:///run/x.sock?ping=PING%0A&pong=PONG%0A")
	f.Add("tcp://:@:1//?a&b==")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse(text)
		if err != nil {
			require.Nil(t, first)
			return
		}
		second, err := Parse(first.Unredacted())
		require.NoError(t, err)
		require.Equal(t, first, second)
		_, err = Parse(first.String())
		require.NoError(t, err, "the redacted text")
	})
}

func FuzzSecretsStayOutOfErrors(f *testing.F) {
	f.Add("me", "", "@h:1", "a=%")
	f.Add("me", "/x", "@h", "pool_a=%zz")
	f.Add("me", "?x=1", "@h", "a=1&a=2")
	f.Add("", "%zz", "", "token=%zz")
	f.Fuzz(func(t *testing.T, user, more, tail, query string) {
		const secret = "hunter2"
		if strings.Contains(user+more+tail+query, "hunter") {
			t.Skip("other parts of the DSN contain the secret's text")
		}
		var table Params
		var token string
		var n int
		table.Int("n", &n, 0, 9)
		table.Func("token", "a token", func(s string) error { return fmt.Errorf("%s is wrong", s) }).Secret()
		table.String("other", &token)
		for _, text := range []string{
			"imap://" + url.PathEscape(user) + ":" + secret + more + tail,
			"imap://h?token=" + secret + more + "&" + query,
		} {
			u, err := Parse(text)
			if err == nil {
				require.NotContains(t, fmt.Sprintf("%v %+v %#v", u, u, *u), secret)
				err = table.Apply(u.Params)
			}
			if err != nil {
				require.NotContains(t, err.Error(), secret, text)
			}
			_, _, err = Cut(text, "pool_")
			if err != nil {
				require.NotContains(t, err.Error(), secret, text)
			}
		}
	})
}
