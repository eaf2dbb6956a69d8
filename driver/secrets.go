package driver

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Redact replaces err if it repeats a secret of dsn, as errors of url.Parse do,
// which quote their whole input. name is that of the driver that returned err. The
// new error names the driver, has the same classes, and wraps the errors in the
// chain of err that repeat no secret. If err repeats no secret, Redact returns it
// unchanged; for nil it returns nil.
//
// The secrets are the user-info between :// and @, which may be user:password, and
// settings such as password='s3 cret'. The password alone counts too if it has
// 6 bytes or more and not only letters; others may be words or numbers of the
// message. A driver must itself protect any other secrets in its DSN.
func Redact(name, dsn string, err error) error {
	if err == nil {
		return nil
	}
	secrets := secretsOf(dsn)
	if !shows(err, secrets) {
		return err
	}
	var hidden error = &hiddenError{name, SafeToRetry(err), clean(err, secrets)}
	if bad, known := ask(err, isBad); known {
		hidden = &classedError{hidden, bad}
	}
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

// hiddenError replaces an error that repeats a secret. See Redact.
type hiddenError struct {
	driver string
	safe   bool
	parts  []error
}

func (e *hiddenError) Error() string {
	return fmt.Sprintf("driver: %q failed with an error that is not shown because it repeats the user or the password of the DSN; "+
		"percent-encode everything in them except letters and digits", e.driver)
}

func (e *hiddenError) SafeToRetry() bool { return e.safe }
func (e *hiddenError) Unwrap() []error   { return e.parts }

// classedError is an error that is known to be bad or good.
type classedError struct {
	err error
	bad bool
}

func (e *classedError) Error() string { return e.err.Error() }
func (e *classedError) Unwrap() error { return e.err }
func (e *classedError) BadConn() bool { return e.bad }

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

// shows reports whether fmt prints a secret when it formats err with a common verb.
func shows(err error, secrets []string) bool {
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// secretsOf returns the texts that no error about dsn may show, in all forms.
func secretsOf(dsn string) (secrets []string) {
	for _, m := range passwords.FindAllStringSubmatch(dsn, -1) {
		secrets = append(secrets, setting(m[1], m[2])...)
	}
	if scheme, rest, ok := strings.Cut(dsn, "://"); ok && !strings.ContainsAny(scheme, ":@/?#") {
		dsn = rest
	}
	authority := dsn
	if i := strings.IndexAny(dsn, "/?#"); i >= 0 {
		authority = dsn[:i]
	}
	// The user-info ends at the last @ of the authority; or of the whole DSN, if
	// a password has an unescaped /, ? or #.
	for _, s := range []string{authority, dsn} {
		if i := strings.LastIndexByte(s, '@'); i > 0 {
			user, password, _ := strings.Cut(s[:i], ":")
			secrets = append(secrets, userInfo(user, password)...)
		}
	}
	return secrets
}

// passwords finds the password settings of a DSN and their values. A value with
// spaces is in single quotes; a backslash escapes a quote inside it.
var passwords = regexp.MustCompile(`(?i)((?:password|passwd|pwd) *=) *('(?:[^'\\]|\\.)*'?|[^\s;&]+)`)

// setting returns name and value together, and the value alone if it is
// distinctive.
func setting(name, value string) (secrets []string) {
	plain := strings.Trim(value, "'")
	for _, value := range append(forms(plain), forms(unescaper.Replace(plain))...) {
		secrets = append(secrets, name+value, name+"'"+value)
		if isDistinctive(value) {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// unescaper undoes the escapes of a value in quotes.
var unescaper = strings.NewReplacer(`\\`, `\`, `\'`, `'`)

// userInfo returns user:password, or user@ if there is no password, and the
// password alone if it is distinctive.
func userInfo(user, password string) (secrets []string) {
	passwords := forms(password)
	for i, user := range forms(user) {
		password := passwords[i]
		if password == "" {
			secrets = append(secrets, user+"@")
			continue
		}
		secrets = append(secrets, user+":"+password)
		if isDistinctive(password) {
			secrets = append(secrets, password)
		}
	}
	return secrets
}

// isDistinctive reports whether a message that contains password surely repeats
// the password. A short password may be a number in the message, and a password of
// letters only may be a word.
func isDistinctive(password string) bool {
	return len(password) >= 6 && strings.ContainsFunc(password, isNotLetter)
}

func isNotLetter(r rune) bool { return !unicode.IsLetter(r) }

// forms returns s as it is, unescaped, and escaped in other ways; and each of
// those as %q shows it.
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
