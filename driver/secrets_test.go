package driver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/registry"
)

// greet is a driver whose OpenConnector fails with the error of open.
type greet struct {
	plain
	open func(dsn string) error
}

func (g greet) OpenConnector(dsn string) (driver.Connector, error) { return nil, g.open(dsn) }

// rawGreet is a driver that is not a DriverContext.
type rawGreet struct{ open func(dsn string) error }

func (g rawGreet) Open(dsn string) (driver.Conn, error) { return nil, g.open(dsn) }

// errorsOf returns the error of OpenConnector for a greet, and the error of Connect
// for a rawGreet. Both drivers fail with the error of open.
func errorsOf(t *testing.T, dsn string, open func(dsn string) error) map[string]error {
	registry.Replace("greet", greet{open: open})
	_, errOpen := driver.OpenConnector("greet", dsn)
	registry.Replace("greet", rawGreet{open})
	c, err := driver.OpenConnector("greet", dsn)
	require.NoError(t, err)
	_, errConnect := c.Connect(t.Context())
	registry.Replace("greet", nil)
	return map[string]error{"OpenConnector": errOpen, "Connect": errConnect}
}

func parseURL(dsn string) error {
	_, err := url.Parse(dsn)
	return err
}

const hidden = `driver: "greet" failed with an error that is not shown because it repeats the user or the password of the DSN; ` +
	`percent-encode everything in them except letters and digits`

func TestErrorsOfADriverDoNotRepeatTheUserInfo(t *testing.T) {
	quote := func(dsn string) error { return fmt.Errorf("greet: %q is not a DSN", dsn) }
	say := func(text string) func(string) error { return func(string) error { return errors.New(text) } }
	for _, tc := range []struct {
		name, dsn string
		open      func(dsn string) error
	}{
		{"url.Parse", "greet://ada:s3cret%zz@127.0.0.1:1", parseURL},
		{"url.Parse, an unescaped slash", "greet://ada:s3/cret@h", parseURL},
		{"url.Parse, a control character", "greet://ada:s3\x7fcret@h", parseURL},
		{"a quoted DSN", `greet://ada:s3"cre\t@h`, quote},
		{"a quoted DSN with another @", "greet://ada:s3cret@h?from=ada@h", quote},
		{"an unescaped @", "greet://ada:s3@cret@h", quote},
		{"an unescaped #", "greet://ada:s3#cret@h", quote},
		{"no scheme", "ada:s3cret@tcp(h)/db", quote},
		{"no password", "greet://token@h", quote},
		{"no user", "greet://:s3cret@h", quote},
		{"the address", "greet://ada:pw@h?from=ada@h", say("greet: dial ada:pw@h: no such host")},
		{"the user-info, decoded", "greet://a%64a:s3c%72et@h", say("greet: ada:s3cret may not log in")},
		{"the user-info, encoded", "greet://ada:s3 cret@h", say("greet: ada:s3%20cret@h")},
		{"the password", "greet://ada:s3cret@h", say("greet: wrong password s3cret")},
		{"the password, decoded", "greet://ada:%73%33cret@h", say("greet: wrong password s3cret")},
		{"the password, encoded", "greet://ada:s3 cret@h", say("greet: ?password=s3+cret")},
		{"the password, quoted", "greet://ada:s3%0Acret@h", say(`greet: wrong password "s3\ncret"`)},
		{"a setting", "host=h password=s3cret user=ada", say("greet: wrong password s3cret")},
		{"a setting in capitals", "Server=h;Pwd=s3cret;Database=x", quote},
		{"a setting with quotes", `host=h password='s3 \'cret'`, say("greet: wrong password s3 'cret")},
		{"a setting without its last quote", `host=h password='s3 cret`, quote},
		{"a setting of letters only", `host=h password=cret`, quote},
		{"a parameter", "greet://h/x?password=s3%20cret", say("greet: wrong password s3 cret")},
		{"a field", "greet://ada:s3cret@h", func(string) error { return &fieldError{"s3cret"} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for of, err := range errorsOf(t, tc.dsn, tc.open) {
				require.EqualError(t, err, hidden, of)
				text := fmt.Sprintf("%+v %#v", err, err)
				assert.NotContains(t, text, "cret", of)
				assert.NotContains(t, text, "token", of)
			}
		})
	}
}

// fieldError shows its field when fmt prints it with %#v.
type fieldError struct{ Password string }

func (*fieldError) Error() string { return "greet: wrong password" }

func TestErrorsOfADriverThatRepeatNoSecretStayAsTheyAre(t *testing.T) {
	for _, tc := range []struct{ name, dsn, text string }{
		{"no user-info", "greet://h:1/x?y=z", "greet://h:1/x?y=z: no such host"},
		{"no scheme", "h:1", "parse h:1"},
		{"no user before the @", "greet://@h", "no user before the @"},
		{"an @ in a parameter", "greet://h?from=ada@h", "greet: want a port after h"},
		{"the user alone", "greet://ada:s3cret@h", "greet: ada@h has no inbox"},
		{"a password that is a word", "greet://user:password@h", "greet: want a user and a password"},
		{"a password that is a number", "greet://ada:65535@h", "greet: want a port from 1 to 65535"},
		{"a password inside words", "greet://u:p@h", "greet: unknown parameter"},
		{"a setting that is a word", "host=h password=password", "greet: want a password"},
		{"an empty setting", "host=h password= user=ada", "greet: want a password"},
		{"an empty DSN", "", "greet: no DSN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := errors.New(tc.text)
			for of, err := range errorsOf(t, tc.dsn, func(string) error { return want }) {
				assert.Same(t, want, err, of)
			}
		})
	}
}

func TestAHiddenErrorKeepsItsClasses(t *testing.T) {
	const dsn = "greet://ada:s3cret%zz@h"
	errParse := parseURL(dsn)
	for name, tc := range map[string]struct {
		err   error
		check func(t *testing.T, err error)
	}{
		"a cause": {errParse, func(t *testing.T, err error) {
			assert.ErrorIs(t, err, url.EscapeError("%zz"))
			assert.False(t, errors.As(err, new(*url.Error)), "it shows the DSN")
			assert.True(t, driver.IsBad(err), "as any net.Error")
			assert.False(t, driver.SafeToRetry(err) || driver.IsPermanent(err))
		}},
		"permanent": {fmt.Errorf("greet: %w", driver.Permanent(errParse)), func(t *testing.T, err error) {
			assert.True(t, driver.IsPermanent(err))
			assert.ErrorIs(t, err, url.EscapeError("%zz"))
		}},
		"throttled": {driver.Throttled(errParse, time.Minute), func(t *testing.T, err error) {
			after, ok := driver.RetryAfter(err)
			assert.True(t, ok)
			assert.Equal(t, time.Minute, after)
			assert.False(t, driver.IsFull(err))
		}},
		"full": {fmt.Errorf("greet: %w", driver.Full(errParse, time.Minute)), func(t *testing.T, err error) {
			after, _ := driver.RetryAfter(err)
			assert.Equal(t, time.Minute, after)
			assert.True(t, driver.IsFull(err))
		}},
		"full around permanent": {driver.Full(driver.Permanent(errParse), 0), func(t *testing.T, err error) {
			assert.True(t, driver.IsFull(err))
			assert.False(t, driver.IsPermanent(err))
		}},
		"permanent around full": {driver.Permanent(driver.Full(errParse, time.Minute)), func(t *testing.T, err error) {
			after, _ := driver.RetryAfter(err)
			assert.Equal(t, time.Minute, after)
			assert.True(t, driver.IsPermanent(err))
			assert.False(t, driver.IsFull(err))
		}},
		"safe to retry": {answer{safe: true, error: errParse}, func(t *testing.T, err error) {
			assert.True(t, driver.SafeToRetry(err))
			assert.False(t, driver.IsBad(err))
		}},
		"joined": {errors.Join(errNo, errParse, context.Canceled), func(t *testing.T, err error) {
			assert.ErrorIs(t, err, errNo)
			assert.ErrorIs(t, err, context.Canceled)
		}},
		"without a class": {errors.New(dsn), func(t *testing.T, err error) {
			assert.False(t, driver.IsBad(err) || driver.SafeToRetry(err) || driver.IsPermanent(err))
			assert.False(t, driver.IsGood(err), "it is unknown")
		}},
		"without a class, joined": {errors.Join(errors.New(dsn), errNo), func(t *testing.T, err error) {
			assert.False(t, driver.IsGood(err), "it is unknown")
			assert.ErrorIs(t, err, errNo)
		}},
		"good": {answer{error: errors.New(dsn)}, func(t *testing.T, err error) { assert.True(t, driver.IsGood(err)) }},
	} {
		t.Run(name, func(t *testing.T) {
			for of, err := range errorsOf(t, dsn, func(string) error { return tc.err }) {
				require.EqualError(t, err, hidden, of)
				tc.check(t, err)
			}
		})
	}
}

// Whatever the password, an error that quotes the DSN is hidden.
func FuzzAQuotedDSNIsHidden(f *testing.F) {
	f.Add("ada", "s3cret%zz", "/x?from=a@b")
	f.Add("", "\xff\"\\", "#")
	f.Add("a:/b", "@", "")
	f.Fuzz(func(t *testing.T, user, password, tail string) {
		if password == "" || password == "//" { // user://@h reads as a URL
			t.Skip("nothing to hide")
		}
		for _, dsn := range []string{user + ":" + password + "@h" + tail, "greet://" + user + ":" + password + "@h" + tail} {
			for _, quoted := range []string{dsn, strconv.Quote(dsn)} {
				for of, err := range errorsOf(t, dsn, func(string) error { return errors.New(quoted) }) {
					require.EqualError(t, err, hidden, of)
				}
			}
		}
	})
}
