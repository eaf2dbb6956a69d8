package imap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
)

// keptLog returns a logger that keeps its lines.
func keptLog() (log logr.Logger, text func() string) {
	var mu sync.Mutex
	var all strings.Builder
	log = funcr.New(func(prefix, args string) {
		mu.Lock()
		defer mu.Unlock()
		all.WriteString(prefix + args + "\n")
	}, funcr.Options{})
	return log, func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

func TestTraceLogsEverythingExceptSecretsAndMail(t *testing.T) {
	for _, auth := range []string{"PLAIN", "LOGIN"} {
		t.Run(auth, func(t *testing.T) {
			_, server := mailbox(t, message(10))
			config, err := imap.ParseDSN(plainDSN(server.Addr(), "/INBOX?tls=none&auth="+auth))
			require.NoError(t, err)
			log, text := keptLog()
			config.Trace = log
			connector, err := imap.NewConnector(config)
			require.NoError(t, err)
			c, err := connectTo(t, connector)
			require.NoError(t, err)
			_, err = c.Fetch(goimap.SeqSetNum(1), body).Collect()
			require.NoError(t, err)
			a := c.Append("INBOX", int64(len(message(20))), nil)
			_, err = a.Write([]byte(message(20)))
			require.NoError(t, err)
			require.NoError(t, a.Close())
			require.NoError(t, c.Close())

			assert.Contains(t, text(), `"to"="`+server.Addr()+`"`)
			assert.Regexp(t, `"imap sent" .* "line"="T\d+ (AUTHENTICATE PLAIN|LOGIN) \(hidden\)"`, text())
			assert.Regexp(t, `"imap sent" .* "line"="T\d+ SELECT INBOX"`, text())
			assert.Regexp(t, `"imap received" .* "line"="\* 1 EXISTS"`, text())
			assert.Regexp(t, `"imap received" .* "line"="\* 1 FETCH .*\{\d+\}"`, text())
			assert.Regexp(t, `"imap received" .* "line"="T\d+ OK`, text())
			assert.NotContains(t, text(), "Subject: hello", "mail")
			for _, secret := range []string{password, account, "YWRhQGV4YW1wbGUub3Jn", "p4ss"} {
				assert.NotContains(t, text(), secret)
			}
		})
	}
}

// traced connects to a script, and returns the text of the trace.
func traced(t *testing.T, lines ...string) (c *imap.Conn, text func() string, err error) {
	t.Helper()
	log, text := keptLog()
	config, err := imap.ParseDSN(plainDSN(script(t, lines...), "?tls=none"))
	require.NoError(t, err)
	config.Trace = log
	connector, err := imap.NewConnector(config)
	require.NoError(t, err)
	c, err = connectTo(t, connector)
	return c, text, err
}

func TestTraceOfARefusedLoginHasNoPassword(t *testing.T) {
	_, text, err := traced(t, login1("TAG BAD cannot parse LOGIN \"ada\" \""+password+"\"\r\n")...)
	require.Error(t, err)
	assert.Regexp(t, `"imap received" .* "line"="T\d+ BAD \(hidden\)"`, text())
	assert.NotContains(t, text(), password)
}

func TestTraceFindsNoLiteralInTextForHumans(t *testing.T) {
	fetch := "* 1 FETCH (BODY[] {24}\r\n"
	c, text, err := traced(t, login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n",
		"C: SELECT", fmt.Sprintf("TAG NO no mailbox a{%d}\r\n", len(fetch)),
		"C: FETCH", fetch+"Subject: private\r\n\r\nhi\r\n)\r\nTAG OK done\r\n")...)
	require.NoError(t, err)
	_, err = c.Select("a", nil).Wait()
	require.ErrorContains(t, err, "no mailbox")
	_, err = c.Fetch(goimap.SeqSetNum(1), body).Collect()
	require.NoError(t, err)
	assert.Contains(t, text(), strings.TrimSpace(fetch))
	assert.NotContains(t, text(), "Subject: private")
}

// Nothing may be sent after a refused literal: the trace would take it for the literal.
func TestARefusedLiteralIsTheLastThatIsSent(t *testing.T) {
	c, _, err := traced(t, login1("TAG OK [CAPABILITY IMAP4rev1] in\r\n", "C: APPEND", "TAG NO no\r\n")...)
	require.NoError(t, err)
	a := c.Append("INBOX", 10, nil)
	_, err = a.Write([]byte("0123456789"))
	require.ErrorContains(t, err, "NO no")
	assert.ErrorContains(t, a.Close(), "NO no")
	assert.False(t, c.IsValid(), "it is closed")
	assert.Error(t, c.Noop().Wait())
}

func TestTraceOfADSNPrintsToStandardError(t *testing.T) {
	_, server := mailbox(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	defer file.Close()
	stderr := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = stderr }()
	for _, trace := range []string{"false", "true"} {
		text, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		assert.Empty(t, text)
		dial(t, plainDSN(server.Addr(), "?tls=none&trace="+trace)).Close()
	}
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	assert.Regexp(t, `imap sent.*LOGOUT`, string(text))
	assert.NotContains(t, string(text), "p4ss")
	_, err = imap.ParseDSN(plainDSN(server.Addr(), "?trace=s3cret"))
	assert.EqualError(t, err, `dsn: parameter trace="s3cret": want true or false`)
}
