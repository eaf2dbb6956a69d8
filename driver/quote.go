package driver

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxQuoted is how many bytes of a peer's text Quote keeps. That is enough for
	// the sentence that a server gives as its reason to refuse.
	maxQuoted = 200

	// maxErrorText limits the text of QuoteError, in bytes. Our own words come
	// first, so the cut removes the peer's.
	maxErrorText = 1000
)

// Quote returns text from the peer in a form that is safe in an error or a log:
// in double quotes, with control characters and bytes that are not UTF-8 escaped,
// so that it can neither forge a line nor color a terminal. If text is longer
// than 200 bytes, it returns the beginning and the length. Drivers use it for all
// text from the peer in an error: a greeting, a refusal, a name in a certificate.
func Quote[T ~string | ~[]byte](text T) string {
	if len(text) <= maxQuoted {
		return strconv.Quote(string(text))
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(string(head(text, maxQuoted))), len(text))
}

// QuoteError is [Quote] for an error whose text may include text from the peer,
// such as the error of a client library. It returns err itself unless its text
// has control characters, bytes that are not UTF-8, or more than 1000 bytes;
// otherwise it returns an error that wraps err and has a safe text. QuoteError
// returns nil for nil.
func QuoteError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	shown := escape(head(text, maxErrorText))
	if shown == text {
		return err
	}
	if len(text) > maxErrorText {
		shown = fmt.Sprintf("%s... (%d bytes)", shown, len(text))
	}
	return &quotedError{shown, err}
}

// quotedError is err with a safe text.
type quotedError struct {
	text string
	err  error
}

func (e *quotedError) Error() string { return e.text }
func (e *quotedError) Unwrap() error { return e.err }

// head returns the first n bytes of text, or a few fewer to avoid cutting a
// character in half.
func head[T ~string | ~[]byte](text T, n int) T {
	if len(text) <= n {
		return text
	}
	for cut := n; cut > n-utf8.UTFMax; cut-- {
		if utf8.RuneStart(text[cut]) {
			return text[:cut]
		}
	}
	return text[:n] // not UTF-8
}

// escape is strconv.Quote without the outer quotes. It leaves quotes and
// backslashes in text alone.
func escape(text string) string {
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		if char := text[i : i+size]; r == utf8.RuneError && size == 1 || !strconv.IsPrint(r) {
			quoted := strconv.Quote(char)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(char)
		}
	}
	return b.String()
}
