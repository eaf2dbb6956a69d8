// Package dsn parses the text that configures a connector: a URL whose query
// holds parameters, which it binds to variables as package flag does.
//
//	cfg := Config{NoDelay: true}
//	u, err := dsn.Parse("tcp://127.0.0.1:2485?nodelay=false")
//	...
//	var p dsn.Params
//	p.Bool("nodelay", &cfg.NoDelay)
//	p.Duration("keepalive_idle", &cfg.KeepAliveIdle, time.Second)
//	err = p.Apply(u.Params) // reports all faults at once
//
// A DSN holds secrets. No error of this package shows a password, the value of
// a parameter marked [Param.Secret], or the raw text. fmt prints a [URL] without
// the password and the values of the parameters, whatever the verb.
package dsn

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// URL is a DSN of the form
//
//	scheme://user:password@host:port/path?name=value&name=value
//
// Everything except the scheme is optional. Any byte of the user, the password, the
// path and a value may be percent-encoded; in user and password, everything except
// letters and digits should be. The fields hold the decoded text.
//
// A connector should copy the parts that it needs. It should not keep the URL in an
// unexported field: fmt calls no methods on such fields, and would print the secrets.
type URL struct {
	Scheme   string            // in lower case
	User     string            // empty if the DSN has none
	Password string            // empty if the DSN has none
	Host     string            // a name or an IP address; IPv6 without brackets
	Port     int               // 1 to 65535; 0 if the DSN has none
	Path     string            // empty, or with its leading slash
	Params   map[string]string // never nil after Parse; a plus in the query means a space
}

// Parse parses s. Its error names the first part of s that is wrong, and says what
// is allowed there. The error shows no text of s except a space or a control
// character, and identifies parameters by number, not by name.
func Parse(s string) (*URL, error) {
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return nil, fmt.Errorf("dsn: character %d is a %s; percent-encode it as %%%02X, or leave it out",
			utf8.RuneCountInString(s[:i])+1, cmp.Or(blanks[s[i]], "control character"), s[i])
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return nil, errors.New("dsn: no scheme; want a URL such as tcp://host:port")
	}
	if strings.Contains(rest, "#") {
		return nil, errors.New("dsn: unexpected #; percent-encode it as %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	u := &URL{Scheme: strings.ToLower(scheme)}
	// One unescaped byte makes everything after it look wrong, so only the first
	// fault is reported.
	if err := cmp.Or(u.setAuthority(authority), u.setPath(path, authority != ""), u.setParams(query)); err != nil {
		return nil, err
	}
	return u, nil
}

// blanks names the characters that usually get in by mistake.
var blanks = map[byte]string{' ': "space", '\t': "tab", '\n': "line feed", '\r': "carriage return"}

// setAuthority reads user:password@host:port.
func (u *URL) setAuthority(s string) (err error) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, password, _ := strings.Cut(s[:i], ":")
		if u.User, err = unescape("user", user); err != nil {
			return err
		}
		if u.Password, err = unescape("password", password); err != nil {
			return err
		}
		s = s[i+1:]
	}
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		port, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || port == 0 {
			return errors.New("dsn: port: want a number from 1 to 65535" + hint)
		}
		s, u.Port = s[:i], int(port)
	}
	return u.setHost(s)
}

// hint ends the errors that an unescaped password causes.
const hint = "; in user and password, percent-encode everything except letters and digits"

func (u *URL) setHost(s string) (err error) {
	if !strings.HasPrefix(s, "[") {
		u.Host = s
		if !consistsOf(s, "-._") {
			return errors.New("dsn: host: want letters, digits, dots and dashes, or an IPv6 address in brackets" + hint)
		}
		return nil
	}
	if u.Host, err = unescape("host", strings.TrimSuffix(s[1:], "]")); err != nil {
		return err
	}
	addr, err := netip.ParseAddr(u.Host)
	if err != nil || !addr.Is6() || !strings.HasSuffix(s, "]") || !consistsOf(addr.Zone(), "-._") {
		return errors.New("dsn: host: want an IPv6 address in the brackets, such as [::1] or [fe80::1%25eth0]")
	}
	return nil
}

func (u *URL) setPath(s string, hasHost bool) (err error) {
	if strings.Contains(s, "@") && hasHost { // an unescaped slash in a password ended the host
		return errors.New("dsn: path: unexpected @ after the host; percent-encode it as %40" + hint)
	}
	u.Path, err = unescape("path", s)
	return err
}

func (u *URL) setParams(query string) error {
	u.Params = map[string]string{}
	var errs []error
	n := 0
	for piece := range strings.SplitSeq(query, "&") {
		if piece != "" {
			n++
			errs = append(errs, addParam(u.Params, piece, fmt.Sprint("parameter ", n)))
		}
	}
	return errors.Join(errs...)
}

// addParam adds piece, a name=value, to params. Errors show which instead of the
// name, because the name may be part of a password.
func addParam(params map[string]string, piece, which string) error {
	name, value, _ := strings.Cut(piece, "=")
	if name == "" || !consistsOf(name, "-._") {
		return errors.New("dsn: parameter name: want letters, digits, _ and -" + hint)
	}
	if _, twice := params[name]; twice {
		return fmt.Errorf("dsn: %s has the same name as an earlier one", which)
	}
	value, err := unescape(which, strings.ReplaceAll(value, "+", "%20"))
	params[name] = value
	return err
}

func unescape(what, s string) (string, error) {
	text, err := url.PathUnescape(s)
	if err != nil { // err shows part of s
		return "", fmt.Errorf("dsn: %s: want two hex digits after each %%; write %%25 for a percent sign", what)
	}
	return text, nil
}

func isScheme(s string) bool {
	return s != "" && isLetter(s[0]) && consistsOf(s, "+-.")
}

// consistsOf reports whether s has only ASCII letters, digits and bytes in others.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// Address returns host:port, with an IPv6 address in brackets. port is the default
// for a u without a port. If both are 0, Address returns the host alone.
func (u URL) Address(port int) string {
	if u.Port != 0 {
		port = u.Port
	}
	if port == 0 {
		return u.Host
	}
	return net.JoinHostPort(u.Host, strconv.Itoa(port))
}

// Unredacted returns the whole text, including secrets, with the parameters sorted
// by name. Parse turns it back into an equal URL.
func (u URL) Unredacted() string {
	return u.text(url.UserPassword(u.User, u.Password), func(value string) string { return value })
}

// String returns the text without secrets: the password and the value of each
// parameter are replaced by xxxxx.
func (u URL) String() string {
	return u.text(url.UserPassword(u.User, "xxxxx"), func(string) string { return "xxxxx" })
}

// Format prints String for every verb and flag.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// MarshalText returns String, for encoding/json and log/slog.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func (u URL) text(user *url.Userinfo, show func(value string) string) string {
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	switch {
	case u.Password != "":
		b.WriteString(user.String() + "@")
	case u.User != "":
		b.WriteString(url.User(u.User).String() + "@")
	}
	if strings.Contains(u.Host, ":") {
		b.WriteString("[" + strings.ReplaceAll(u.Host, "%", "%25") + "]")
	} else {
		b.WriteString(u.Host)
	}
	if u.Port != 0 {
		b.WriteString(":" + strconv.Itoa(u.Port))
	}
	path := url.URL{Path: u.Path}
	b.WriteString(strings.ReplaceAll(path.EscapedPath(), "@", "%40"))
	separator := "?"
	for _, name := range slices.Sorted(maps.Keys(u.Params)) {
		b.WriteString(separator + name + "=" + url.QueryEscape(show(u.Params[name])))
		separator = "&"
	}
	return b.String()
}
