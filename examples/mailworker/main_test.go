//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/internal/mailserver"
	"github.com/hotline-go/hotline/pool"
)

func TestTheProgramReadsTheMailOfManyAccounts(t *testing.T) {
	var users []string
	for n := range 20 {
		users = append(users, fmt.Sprint("user", n, "@example.org"))
	}
	s := mailserver.Start(t, mailserver.Dovecot, mailserver.Options{Users: users})
	dsns := map[string]string{}
	var want []string
	for _, user := range users {
		dsns[user] = dsn(t, s, user)
		deliver(t, dsns[user], "for "+user)
		want = append(want, user+": for "+user)
	}
	file := filepath.Join(t.TempDir(), "accounts")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(slices.Collect(maps.Values(dsns)), "\n")), 0o600))
	input := strings.Join(users, "\n")

	out := realserver.GoRun(t, ".", "ACCOUNTS="+file, input+"\nnobody@example.org\n")
	want = append(want, `keyed: nobody@example.org: no account "nobody@example.org"`)
	assert.ElementsMatch(t, want, strings.Split(strings.TrimSpace(out), "\n"))
	assert.Empty(t, realserver.GoRun(t, ".", "ACCOUNTS="+file, input), "all is read")
}

func dsn(t testing.TB, s *mailserver.Server, user string) string {
	roots := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(roots, s.CA.PEM(), 0o600))
	return "imaps://" + url.QueryEscape(user) + ":" + url.QueryEscape(mailserver.Password) + "@" + s.TLS + "/INBOX?ca=" + url.QueryEscape(roots)
}

// deliver puts a mail in the INBOX of the account.
func deliver(t testing.TB, dsn, subject string) {
	p, err := pool.Open[*imap.Conn]("imaps", dsn, pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	mail := "Subject: " + subject + "\r\n\r\nHello.\r\n"
	require.NoError(t, p.Do(t.Context(), func(_ context.Context, c *imap.Conn) error {
		a := c.Append("INBOX", int64(len(mail)), nil)
		_, errWrite := a.Write([]byte(mail))
		errClose := a.Close()
		_, errWait := a.Wait()
		return errors.Join(errWrite, errClose, errWait)
	}))
}
