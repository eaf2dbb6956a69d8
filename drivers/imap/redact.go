package imap

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// errHidden replaces an error that may contain the secret.
var errHidden = errors.New("(hidden, because it may repeat the password)")

// redact returns err, an error of a login, without the server's text if that may
// contain the secret. Some servers repeat input that they can't parse, or the beginning
// of it.
func (c Credentials) redact(err error) error {
	var answer *imap.Error
	switch {
	case driver.IsPermanent(err): // an error of our own mechanism
		return err
	case !errors.As(err, &answer):
		if c.revealedBy(err.Error()) {
			return errHidden
		}
		return err
	case answer.Type == imap.StatusResponseTypeBad || c.revealedBy(answer.Text):
		return &imap.Error{Type: answer.Type, Code: answer.Code, Text: errHidden.Error()}
	}
	return err
}

// revealedBy reports whether text may contain the secret: as it is, in quotes, in
// another case or in base64.
func (c Credentials) revealedBy(text string) bool {
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

// notBase64 reports whether r is not a base64 digit. Padding is not one.
func notBase64(r rune) bool {
	return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", r)
}
