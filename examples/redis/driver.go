// Package redis pools the connections of github.com/gomodule/redigo:
//
//	p, err := pool.Open[redis.Conn]("redis", "redis://:password@127.0.0.1/2", pool.Config{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
//	name, err := pool.Call(ctx, p, func(ctx context.Context, c redis.Conn) (string, error) {
//		return redis.String(c.Do("GET", "name"))
//	})
//
// The path of the DSN is the number of the database. The default is 0.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() {
	adapt.Register("redis", func(u *dsn.URL) (adapt.Client[redis.Conn], error) {
		// A holder may leave a transaction, a subscription or another database behind.
		// RESET undoes them, and the login. All of this is one round trip.
		login := func(c redis.Conn) error {
			c.Send("RESET")
			if u.Password != "" {
				c.Send("AUTH", cmp.Or(u.User, "default"), u.Password)
			}
			c.Send("SELECT", cmp.Or(strings.TrimPrefix(u.Path, "/"), "0"))
			return ping(c)
		}
		return adapt.Client[redis.Conn]{
			Address: u.Address(6379),
			Start: func(_ context.Context, nc net.Conn) (redis.Conn, error) {
				c := redis.NewConn(nc, 0, 0) // no timeouts: contexts end the I/O on nc
				return c, login(c)
			},
			Goodbye: "QUIT\r\n",
			Ping:    func(_ context.Context, c redis.Conn) error { return ping(c) },
			Reset:   func(_ context.Context, c redis.Conn) error { return login(c) },
			Class:   class,
			Answer:  func(err error) bool { return adapt.IsA[redis.Error](err) || errors.Is(err, redis.ErrNil) },
		}, new(dsn.Params).Apply(u.Params)
	})
}

// ping reads all outstanding answers, such as those to a Send without a Receive or the
// messages of a subscription, up to its own. Do would lose the answer of a full server,
// and return the error of the next Read.
func ping(c redis.Conn) error {
	word := rand.Text() // no other answer has it
	c.Send("PING", word)
	c.Flush() // redigo keeps its error for Receive
	for {
		answer, err := c.Receive()
		if b, ok := answer.([]byte); err != nil || ok && string(b) == word {
			return err
		}
	}
}

// class marks permanent errors and a full server. redigo's errors have no codes, but the
// server's texts begin with one.
func class(err error) error {
	switch code, rest, _ := strings.Cut(err.Error(), " "); {
	case code == "ERR" && strings.HasPrefix(rest, "max number of clients"):
		return driver.Full(err, 0)
	case code == "ERR", code == "WRONGPASS", code == "NOAUTH", code == "NOPERM":
		return driver.Permanent(err)
	}
	return err
}
