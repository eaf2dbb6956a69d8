package imap_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
)

// The conformance test covers the login.
func TestTextOfTheServerInTheErrorOfACommandIsQuotedAndBounded(t *testing.T) {
	const red = "\x1b[31mred"
	for _, tc := range []struct{ name, says string }{
		{"NO", "TAG NO " + red},
		{"BYE", "* BYE " + red},
		{"not IMAP", red},
	} {
		for _, words := range []string{tc.says, tc.says + strings.Repeat("x", 100_000)} {
			t.Run(tc.name, func(t *testing.T) {
				addr := script(t, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", "C: NOOP", words+"\r\n", "HANG UP")
				c := dial(t, plainDSN(addr, "?tls=none"))
				err := c.Noop().Wait()
				require.Error(t, err)
				assert.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), "%q", err)
				assert.Less(t, len(err.Error()), 3000)
				err = c.ResetSession(t.Context())
				if tc.name != "NO" {
					require.ErrorIs(t, err, driver.ErrBadConn)
					assert.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), "%q", err)
					assert.Less(t, len(err.Error()), 3000)
				}
			})
		}
	}
}
