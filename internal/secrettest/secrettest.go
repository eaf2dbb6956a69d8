// Package secrettest tests, by fuzzing, that what a program shows of its pools contains
// no secret of a DSN.
package secrettest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// Name is the name of the driver in the DSNs of Fuzz.
const Name = "chatty"

// Patience is how long to wait for a connection. The hosts of some DSNs do not exist,
// and looking them up takes longer.
const Patience = 100 * time.Millisecond

// Fuzz calls use with valid and invalid DSNs of every form. Each contains secret in
// a password or in a parameter. Fuzz registers a driver under Name, with which use
// should open pools of [Conn]. Its first Connect fails, the second succeeds, and so on.
// use should pass everything that it shows to [Check].
func Fuzz(f *testing.F, use func(t *testing.T, dsn, secret string)) {
	d := &chatty{}
	drivertest.Register(f, Name, d)
	f.Add(false, "ada", "/", "db.example:5432", "/x?token=a")
	f.Add(false, "a,b", "?", "db.example:1,db.example:2", "?hosts_order=random")
	f.Add(false, "", "%zz@", "db.example", "#")
	f.Add(false, "a:1,b", "#", "[::1]:1", "?pool_name=depot")
	f.Add(false, "a:1,b", "/", "h:1,:2", "?hosts_srv=imap&pool_max_open=x")
	f.Add(true, "ada", "/", "db.example:5432", "/")
	f.Add(true, "db.example", "@db.example:1/", "db.example", "")
	f.Add(true, "ada", " %\x00\"\\\n\u202e", "tcp(db.example:1)", "/x")
	f.Fuzz(func(t *testing.T, digits bool, user, middle, hosts, rest string) {
		secret := "s3cr3t-w0rd"
		if digits {
			secret = "9021077713"
		}
		if strings.Contains(user+hosts+rest, secret) {
			t.Skip("other parts of the DSN contain the secret")
		}
		password := secret + middle + secret
		for _, dsn := range []string{
			user + ":" + password + "@" + hosts + rest,
			Name + "://" + user + ":" + password + "@" + hosts + rest,
			Name + "://" + url.UserPassword(user, password).String() + "@" + hosts + rest,
			Name + "://" + hosts + "/?" + url.Values{"password": {password}, user: {password}}.Encode(),
		} {
			d.connects.Store(0)
			use(t, dsn, secret)
		}
	})
}

// Check fails t if v shows secret in any format. what names v in the error.
func Check(t testing.TB, secret, what string, v any) {
	t.Helper()
	texts := []string{fmt.Sprintf("%v %+v %#v", v, v, v)}
	if data, err := json.Marshal(v); err == nil {
		texts = append(texts, string(data))
	}
	for _, text := range texts {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the secret: %s", what, text)
		}
	}
}

// chatty is a driver whose errors repeat the DSN. Every second Connect succeeds.
type chatty struct{ connects atomic.Int64 }

func (c *chatty) Open(dsn string) (driver.Conn, error) {
	if c.connects.Add(1)%2 == 1 {
		return nil, fmt.Errorf("dial %q (%s): refused", dsn, dsn)
	}
	return Conn{}, nil
}

// Conn is a connection of the driver. It is connected to nothing.
type Conn struct{}

// Close does nothing.
func (Conn) Close() error { return nil }
