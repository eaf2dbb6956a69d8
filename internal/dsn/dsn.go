// Package dsn reads the text that configures a connector: a URL, and in its
// query the parameters, which it binds to variables as package flag does.
//
//	cfg := Config{NoDelay: true}
//	u, err := dsn.Parse("tcp://127.0.0.1:2485?nodelay=false")
//	...
//	var p dsn.Params
//	p.Bool("nodelay", &cfg.NoDelay)
//	p.Duration("keepalive_idle", &cfg.KeepAliveIdle, time.Second)
//	err = p.Apply(u.Params) // every fault at once
//
// A DSN holds secrets. No error of this package shows a password, the value of
// a parameter marked [Param.Secret], or the raw text; a [URL] prints without
// the password and without the values of the parameters, whatever the verb.
package dsn

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
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
// in which everything but the scheme may be missing. Any byte can be written
// percent-encoded; in user and password, all but letters and digits should be.
// The fields hold the text with the escapes undone.
//
// A connector takes from it what it needs and does not keep it: in the
// unexported field of a struct that is printed, fmt calls no methods.
type URL struct {
	Scheme   string // in lower case
	User     string
	Password string
	Host     string            // a name or an IP address, an IPv6 one without brackets
	Port     int               // 1 to 65535; 0 if there is none
	Path     string            // empty, or with its leading slash
	Params   map[string]string // never nil after Parse; a plus in the query stands for a space
}

// Parse reads s. Its error says which part of s is wrong, the first one of
// several, and what is allowed there. It shows nothing of s but the names of
// parameters, and a space or control character.
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
		return nil, errors.New("dsn: there is no place for a #; percent-encode it as %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	u := &URL{Scheme: strings.ToLower(scheme)}
	// One unescaped byte spoils all that follows, so only the first part that
	// is wrong is reported.
	if err := cmp.Or(u.setAuthority(authority), u.setPath(path), u.setParams(query)); err != nil {
		return nil, err
	}
	return u, nil
}

// blanks names the control characters that come in by mistake.
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

// hint ends the errors that an unescaped password provokes.
const hint = "; in user and password, percent-encode all but letters and digits"

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

func (u *URL) setPath(s string) (err error) {
	if strings.Contains(s, "@") { // a password that ends the host too early
		return errors.New("dsn: path: want no @ after the host; percent-encode it as %40" + hint)
	}
	u.Path, err = unescape("path", s)
	return err
}

func (u *URL) setParams(query string) error {
	u.Params = map[string]string{}
	var errs []error
	for piece := range strings.SplitSeq(query, "&") {
		if piece != "" {
			errs = append(errs, addParam(u.Params, piece))
		}
	}
	return errors.Join(errs...)
}

// addParam adds name=value to params.
func addParam(params map[string]string, piece string) error {
	name, value, _ := strings.Cut(piece, "=")
	if name == "" || !consistsOf(name, "-._") {
		return errors.New("dsn: a parameter's name: want letters, digits, _ and -" + hint)
	}
	if _, twice := params[name]; twice {
		return fmt.Errorf("dsn: parameter %s is given twice", name)
	}
	value, err := unescape("parameter "+name, strings.ReplaceAll(value, "+", "%20"))
	params[name] = value
	return err
}

func unescape(what, s string) (string, error) {
	text, err := url.PathUnescape(s)
	if err != nil { // it shows a part of s
		return "", fmt.Errorf("dsn: %s: want two hex digits after each %%; write %%25 for the sign itself", what)
	}
	return text, nil
}

func isScheme(s string) bool {
	return s != "" && isLetter(s[0]) && consistsOf(s, "+-.")
}

// consistsOf reports whether s has only ASCII letters, digits and the bytes of
// others.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// Unredacted returns the whole text, secrets included; Parse makes an equal
// URL of it. The parameters are sorted by name.
func (u URL) Unredacted() string {
	return u.text(url.UserPassword(u.User, u.Password), func(value string) string { return value })
}

// String returns the text without secrets: xxxxx stands for the password and
// for the value of each parameter.
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
