package imap

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// errHidden stands for an answer that may have the secret in it.
var errHidden = errors.New("(hidden, because it may repeat the password)")

// hush returns err, of a login, without what the server has said, if that may
// be the secret: there are servers that repeat what they could not parse. The
// class stays.
func (c Credentials) hush(err error) error {
	if err == nil || !c.toldBy(err.Error()) {
		return err
	}
	clean := errHidden
	var answer *imap.Error
	if errors.As(err, &answer) {
		clean = &imap.Error{Type: answer.Type, Code: answer.Code, Text: errHidden.Error()}
	}
	var lost *lostError
	if errors.As(err, &lost) {
		clean = &lostError{op: lost.op, address: lost.address, err: clean, unsent: lost.unsent}
	} else {
		clean = fmt.Errorf("imap: login: %w", clean)
	}
	if pause, ok := driver.RetryAfter(err); ok {
		clean = driver.Throttled(clean, pause)
	}
	return clean
}

// toldBy reports whether text may have the secret in it, as it is, in quotes,
// in other letters or in base64.
func (c Credentials) toldBy(text string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, `\`, "")) }
	for _, secret := range []string{c.Password, c.Token} {
		if secret == "" {
			continue
		}
		if strings.Contains(plain(text), plain(secret)) {
			return true
		}
		for word := range strings.FieldsFuncSeq(text, notBase64) {
			if decoded, err := base64.RawStdEncoding.DecodeString(word); err == nil && strings.Contains(string(decoded), secret) {
				return true
			}
		}
	}
	return false
}

// notBase64 also tells the padding from the rest.
func notBase64(r rune) bool {
	return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", r)
}
