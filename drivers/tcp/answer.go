package tcp

import (
	"strings"

	"github.com/hotline-go/hotline/driver"
)

// quoteAnswer returns answer, from the peer, in a form that is safe in an error. It
// hides an answer that repeats bytes that were sent, because they may be a secret.
func quoteAnswer(answer string, sent []string) string {
	for _, s := range sent {
		if repeats(answer, s) {
			return "(not shown, because it repeats what was sent)"
		}
	}
	return driver.Quote(answer)
}

// minRepeated is how many equal bytes in a row are not a coincidence.
const minRepeated = 4

// repeats reports whether text contains sent, or at least minRepeated bytes of it
// in a row, ignoring case.
func repeats(text, sent string) bool {
	text, sent = strings.ToLower(text), strings.ToLower(strings.TrimSpace(sent))
	if sent == "" {
		return false
	}
	n := min(minRepeated, len(sent))
	for i := range len(sent) - n + 1 {
		if strings.Contains(text, sent[i:i+n]) {
			return true
		}
	}
	return false
}
