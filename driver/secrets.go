package driver

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// withoutSecrets returns err, which the driver registered under name made of
// dsn, or a hiddenError in its place if err repeats a secret of dsn. The usual
// one is that of url.Parse, which quotes all it was given.
func withoutSecrets(name, dsn string, err error) error {
	secrets := secretsOf(dsn)
	if err == nil || !shows(err, secrets) {
		return err
	}
	var hidden error = &hiddenError{name, IsBad(err), SafeToRetry(err), clean(err, secrets)}
	if IsPermanent(err) {
		hidden = Permanent(hidden)
	}
	if after, ok := RetryAfter(err); ok && IsFull(err) {
		hidden = Full(hidden, after)
	} else if ok {
		hidden = Throttled(hidden, after)
	}
	return hidden
}

// hiddenError stands for an error that repeats a secret. It is of the same
// classes, and wraps those errors in its chain that don't.
type hiddenError struct {
	driver    string
	bad, safe bool
	parts     []error
}

func (e *hiddenError) Error() string {
	return fmt.Sprintf("driver: %q failed with an error that repeats the user or the password of the DSN, and is not shown; "+
		"in both, percent-encode all but letters and digits", e.driver)
}

func (e *hiddenError) BadConn() bool     { return e.bad }
func (e *hiddenError) SafeToRetry() bool { return e.safe }
func (e *hiddenError) Unwrap() []error   { return e.parts }

// clean returns the outermost errors in the chain of err that show no secret.
func clean(err error, secrets []string) (parts []error) {
	if err == nil {
		return nil
	}
	if !shows(err, secrets) {
		return []error{err}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return clean(e.Unwrap(), secrets)
	case interface{ Unwrap() []error }:
		for _, branch := range e.Unwrap() {
			parts = append(parts, clean(branch, secrets)...)
		}
	}
	return parts
}

func shows(err error, secrets []string) bool {
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// secretsOf returns what no error about dsn may show, in all its forms.
func secretsOf(dsn string) (secrets []string) {
	if scheme, rest, ok := strings.Cut(dsn, "://"); ok && !strings.ContainsAny(scheme, ":@/?#") {
		dsn = rest
	}
	authority := dsn
	if i := strings.IndexAny(dsn, "/?#"); i >= 0 {
		authority = dsn[:i]
	}
	// The last @ of the authority ends the user-info, or that of all if
	// a password has one of /?# as it is.
	for _, s := range []string{authority, dsn} {
		if i := strings.LastIndexByte(s, '@'); i > 0 {
			user, password, _ := strings.Cut(s[:i], ":")
			secrets = append(secrets, userInfo(user, password)...)
		}
	}
	return secrets
}

// userInfo returns user:password, or user@ if there is no password, and the
// password alone. But a password of a few bytes or of letters only may be
// a number or a word of the message, so it alone is no sign.
func userInfo(user, password string) (secrets []string) {
	passwords := forms(password)
	for i, user := range forms(user) {
		password := passwords[i]
		if password == "" {
			secrets = append(secrets, user+"@")
			continue
		}
		secrets = append(secrets, user+":"+password)
		if len(password) >= 6 && strings.ContainsFunc(password, isNoLetter) {
			secrets = append(secrets, password)
		}
	}
	return secrets
}

func isNoLetter(r rune) bool { return !unicode.IsLetter(r) }

// forms returns s as it is, with its escapes undone, and escaped in other ways;
// and all of them as %q shows them.
func forms(s string) []string {
	plain, err := url.PathUnescape(s)
	if err != nil {
		plain = s
	}
	all := []string{s, plain, url.QueryEscape(plain), url.PathEscape(plain)}
	for _, form := range all {
		quoted := strconv.Quote(form)
		all = append(all, quoted[1:len(quoted)-1])
	}
	return all
}
