// Package memcached is a driver for memcached with its own small client, as you would
// write it for a line protocol without a library:
//
//	p, err := pool.Open[*memcached.Client]("memcached", "memcached://127.0.0.1", pool.Config{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
//	err = p.Do(ctx, func(ctx context.Context, c *memcached.Client) error {
//		return c.Set("name", "Ada")
//	})
package memcached

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() {
	adapt.Register("memcached", func(u *dsn.URL) (adapt.Client[*Client], error) {
		return adapt.Client[*Client]{
			Address: u.Address(11211),
			// There is no login and no greeting. The first answer shows whether the
			// server has room.
			Start: func(ctx context.Context, nc net.Conn) (*Client, error) {
				c := &Client{nc: nc, in: bufio.NewReader(nc)}
				return c, ping(ctx, c)
			},
			Goodbye: "quit\r\n",
			Settle:  50 * time.Millisecond, // the server closes a connection before it stops counting it
			Close:   func(c *Client) error { return c.nc.Close() },
			Ping:    ping,
			// The session has no state. But if a holder has not read an answer, it is in
			// the buffer or on its way, where no check finds it, and the next holder
			// would take it for its own.
			Valid:  func(c *Client) bool { return c.outstanding == 0 && c.in.Buffered() == 0 },
			Class:  class,
			Answer: adapt.IsA[Refusal],
		}, new(dsn.Params).Apply(u.Params)
	})
}

func ping(_ context.Context, c *Client) error {
	_, err := c.Version()
	return err
}

func class(err error) error {
	var r Refusal
	if errors.As(err, &r) && strings.Contains(string(r), "Too many open connections") {
		return driver.Full(err, 0)
	}
	return err
}
