package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestShortHasThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                     "0s",
		7:                     "7ns",
		999:                   "999ns",
		1234:                  "1.23µs",
		99_950:                "100µs",
		1_235_678:             "1.24ms",
		12_345 * 1e6:          "12.3s",
		999_999_999:           "1s",
		90 * time.Second:      "1m30s",
		2*time.Hour + 123_456: "2h0m0s",
	} {
		assert.Equal(t, want, short(d))
	}
}

func TestCellsHaveOneDecimalAndAUnitOfTwoLetters(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0ns", 999: "999.0ns", 1234: "1.2µs", 60 * time.Millisecond: "60.0ms", 100_100_000: "100.1ms", 90 * time.Second: "90.0 s",
	} {
		assert.Equal(t, want, cell(d))
	}
}

func TestGroupedHasCommas(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", -999: "-999", -1234567: "-1,234,567",
	} {
		assert.Equal(t, want, grouped(n))
	}
}

func TestOneIsSingular(t *testing.T) {
	assert.Equal(t, "1 request", count(1, "request"))
	assert.Equal(t, "0 requests", count(0, "request"))
	assert.Equal(t, "1,000 processes", count(int64(1000), "process"))
}

func TestWordsAreWrapped(t *testing.T) {
	for _, tc := range []struct {
		name  string
		words []string
		want  string
	}{
		{"on one line", []string{"a", "b"}, "  a b\n"},
		{"as many as fit", []string{strings.Repeat("a", 70), "bbbbb", "c"}, "  " + strings.Repeat("a", 70) + " bbbbb\n  c\n"},
		{"a single word that is too long", []string{strings.Repeat("b", 100)}, "  " + strings.Repeat("b", 100) + "\n"},
		{"a word that is too long", []string{"a", strings.Repeat("b", 100), "c"}, "  a\n  " + strings.Repeat("b", 100) + "\n  c\n"},
	} {
		var out bytes.Buffer
		printWords(&out, tc.words)
		assert.Equal(t, tc.want, out.String(), tc.name)
	}
}

func TestTableIsAligned(t *testing.T) {
	var out bytes.Buffer
	printTable(&out, [][]string{
		{"", "rate", "µ"},
		{"a long name", "1", "20µs"},
		{"b"},
		{"c", "10,000", ""},
	})
	assert.Equal(t, `               rate     µ
a long name       1  20µs
b
c            10,000
`, out.String())
}
