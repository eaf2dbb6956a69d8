package imap

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// hush returns err, with which a login has failed, without the secret: there
// are servers that repeat what they could not parse.
func (c Credentials) hush(err error) error {
	var answer *imap.Error
	if !errors.As(err, &answer) || !c.toldBy(err.Error()) {
		return err
	}
	return &imap.Error{Type: answer.Type, Code: answer.Code, Text: "(hidden, because it repeats the password)"}
}

// toldBy reports whether text has the secret in it, as it is or in base64.
func (c Credentials) toldBy(text string) bool {
	for _, secret := range []string{c.Password, c.Token} {
		if secret == "" {
			continue
		}
		if strings.Contains(text, secret) {
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
