package imap

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// errHidden stands for what may have the secret in it.
var errHidden = errors.New("(hidden, because it may repeat the password)")

// hush returns err, which go-imap gave to a login, without what the server has
// said, if that may be the secret: there are servers that repeat what they
// could not parse, or the beginning of it.
func (c Credentials) hush(err error) error {
	var answer *imap.Error
	switch {
	case driver.IsPermanent(err): // a mechanism's own
		return err
	case !errors.As(err, &answer):
		if c.toldBy(err.Error()) {
			return errHidden
		}
		return err
	case answer.Type == imap.StatusResponseTypeBad || c.toldBy(answer.Text):
		return &imap.Error{Type: answer.Type, Code: answer.Code, Text: errHidden.Error()}
	}
	return err
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
