// Package ftp pools the sessions of github.com/jlaffaye/ftp:
//
//	p, err := pool.Open[*ftp.ServerConn]("ftp", "ftp://ada:secret@files.example/incoming", pool.Config{MaxOpen: 5})
//	...
//	err = p.Do(ctx, func(ctx context.Context, c *ftp.ServerConn) error {
//		return c.Stor("report.csv", r)
//	})
//
// The path of the DSN is the folder in which each holder starts.
package ftp

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/textproto"
	"os"
	"time"

	"github.com/jlaffaye/ftp"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() { adapt.Register("ftp", open) }

func open(u *dsn.URL) (adapt.Client[*ftp.ServerConn], error) {
	addr := u.Address(21)
	enter := func(c *ftp.ServerConn) error { return c.ChangeDir(cmp.Or(u.Path, "/")) }
	return adapt.Client[*ftp.ServerConn]{
		Address: addr,
		Start: func(_ context.Context, nc net.Conn) (*ftp.ServerConn, error) {
			c, err := ftp.Dial(addr, ftp.DialWithDialFunc(func(network, to string) (net.Conn, error) {
				if to == addr {
					return adapt.WholeLines(nc), nil // otherwise half an answer passes for a whole one
				}
				side, err := net.DialTimeout(network, to, 5*time.Second)
				return data{side, nc.(*conn.Conn)}, err
			}))
			if err != nil {
				return nil, err
			}
			return c, errors.Join(c.Login(u.User, u.Password), enter(c))
		},
		Goodbye: "QUIT\r\n", // instead of the library's Quit, which does not wait for the server
		Settle:  250 * time.Millisecond,
		Close:   func(*ftp.ServerConn) error { return nil },
		Ping:    func(_ context.Context, c *ftp.ServerConn) error { return c.NoOp() },
		Reset:   func(_ context.Context, c *ftp.ServerConn) error { return enter(c) }, // fails if a transfer was abandoned
		Class:   adapt.ByCode(func(e *textproto.Error) int { return e.Code }, marks),
		Answer:  adapt.IsA[*textproto.Error],
	}, new(dsn.Params).Apply(u.Params)
}

// marks classify the answers to a login: too many users, wrong password.
var marks = map[int]func(error) error{421: adapt.Full, 530: driver.Permanent}

// data is a connection for a transfer. The pool knows only control, and ends it when
// the context of the holder ends. data checks every second whether control has ended.
type data struct {
	net.Conn
	control *conn.Conn
}

func (d data) Read(b []byte) (int, error)  { return d.try(d.Conn.Read, b) }
func (d data) Write(b []byte) (int, error) { return d.try(d.Conn.Write, b) }

func (d data) try(do func([]byte) (int, error), b []byte) (n int, err error) {
	for err = os.ErrDeadlineExceeded; errors.Is(err, os.ErrDeadlineExceeded) && d.control.Err() == nil; {
		d.SetDeadline(time.Now().Add(time.Second))
		var m int
		m, err = do(b[n:])
		n += m
	}
	return n, err
}
