package driver_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
)

func TestTextOfAPeerIsQuotedAndBounded(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", `""`},
		{"words", "421 too many, café", `"421 too many, café"`},
		{"a line break and a color", "no\r\n\x1b[31mred", `"no\r\n\x1b[31mred"`},
		{"quotes", `say "a\b"`, `"say \"a\\b\""`},
		{"bytes that are not UTF-8", "\xff\x80", `"\xff\x80"`},
		{"text that reverses direction", "a\u202eb", `"a\u202eb"`},
		{"the longest allowed", strings.Repeat("a", 200), `"` + strings.Repeat("a", 200) + `"`},
		{"longer", strings.Repeat("a", 201), `"` + strings.Repeat("a", 200) + `"... (201 bytes)`},
		{"a character at the cut", strings.Repeat("a", 199) + "é", `"` + strings.Repeat("a", 199) + `"... (201 bytes)`},
		{"no UTF-8 at the cut", strings.Repeat("\x80", 300), `"` + strings.Repeat(`\x80`, 200) + `"... (300 bytes)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.want, driver.Quote(tc.text))
			assert.Equal(t, tc.want, driver.Quote([]byte(tc.text)))
		})
	}
}

func TestAnErrorWithTextOfAPeerIsQuotedAndBounded(t *testing.T) {
	long := strings.Repeat("a", 1001)
	for _, tc := range []struct{ name, text, want string }{
		{"harmless", `refused: "a\b" café`, `refused: "a\b" café`},
		{"a line break and a color", "no\n\x1b[31mred", `no\n\x1b[31mred`},
		{"bytes that are not UTF-8", "\xff\ufffd", "\\xff\ufffd"},
		{"long", long, long[:1000] + "... (1001 bytes)"},
		{"long with colors", strings.Repeat("\x1b", 1<<20), strings.Repeat(`\x1b`, 1000) + "... (1048576 bytes)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := driver.QuoteError(errors.New(tc.text))
			for _, verb := range []string{"%v", "%+v", "%s"} {
				assert.Equal(t, tc.want, fmt.Sprintf(verb, err), verb)
			}
		})
	}
}

func TestAQuotedErrorKeepsItsClassAndChain(t *testing.T) {
	assert.NoError(t, driver.QuoteError(nil))
	assert.Same(t, io.EOF, driver.QuoteError(io.EOF), "nothing to do")
	err := driver.QuoteError(driver.Permanent(fmt.Errorf("no\n: %w", io.EOF)))
	require.EqualError(t, err, `no\n: EOF`)
	assert.ErrorIs(t, err, io.EOF)
	assert.True(t, driver.IsPermanent(err))
	assert.True(t, driver.IsBad(err))
}

func FuzzQuoteShowsNoControlCharacterAndIsBounded(f *testing.F) {
	f.Add([]byte("\x1b[31m\n"))
	f.Add([]byte(strings.Repeat("é\xff\u202e", 400)))
	f.Fuzz(func(t *testing.T, text []byte) {
		quoted := driver.Quote(text)
		head, rest, _ := strings.Cut(quoted, "... (")
		if len(text) <= 200 {
			head, rest = quoted, ""
		}
		plain, err := strconv.Unquote(head)
		if err != nil || !strings.HasPrefix(string(text), plain) {
			t.Fatalf("Quote(%q) = %s, which is not the beginning of the text", text, quoted)
		}
		if whole := rest == ""; whole != (len(text) == len(plain)) {
			t.Fatalf("Quote(%q) = %s", text, quoted)
		}
		for _, shown := range []string{quoted, driver.QuoteError(errors.New(string(text))).Error()} {
			if i := strings.IndexFunc(shown, func(r rune) bool { return !strconv.IsPrint(r) }); i >= 0 || !utf8.ValidString(shown) || len(shown) > 10<<10 {
				t.Fatalf("QuoteError turned %q into %q", text, shown)
			}
		}
	})
}
