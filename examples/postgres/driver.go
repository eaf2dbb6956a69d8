// Package postgres pools the connections of github.com/jackc/pgx/v5. The DSN is a URL for
// pgx, with the parameters of the pool added:
//
//	p, err := pool.Open[*pgx.Conn]("postgres", "postgres://app:secret@db/shop?pool_max_open=20", pool.Config{})
//	...
//	err = p.Do(ctx, func(ctx context.Context, c *pgx.Conn) error {
//		return c.QueryRow(ctx, "select count(*) from orders").Scan(&n)
//	})
//
// [SQL] is the same for programs that use statements of database/sql/driver.
package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() { adapt.Register("postgres", open) }

func open(u *dsn.URL) (adapt.Client[*pgx.Conn], error) {
	cfg, err := config(u.Unredacted())
	return adapt.Client[*pgx.Conn]{
		Address: u.Address(5432),
		Connect: func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, cfg) },
		Close:   func(c *pgx.Conn) error { return end(c.PgConn()) },
		Ping:    func(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) },
		Valid:   func(c *pgx.Conn) bool { return !c.IsClosed() && !c.PgConn().IsBusy() },
		Reset:   func(ctx context.Context, c *pgx.Conn) error { return reset(ctx, c.PgConn()) },
		Class:   class,
		Answer:  adapt.IsA[*pgconn.PgError],
	}, err
}

// reset makes a round trip. It fails in an open transaction, or if the rows of a query
// were not read to the end; then the pool discards the connection.
func reset(ctx context.Context, c *pgconn.PgConn) error { return c.Exec(ctx, "discard all").Close() }

// end sends Terminate and waits for the server. The Close of pgx does not wait, and must
// not run concurrently with a query in another goroutine.
func end(c *pgconn.PgConn) error { return adapt.Farewell(c.Conn(), terminate, c.CleanupDone()) }

const terminate = "X\x00\x00\x00\x04" // the last message of a client

// class classifies the answers to a login. The keys are SQLSTATEs: too many connections;
// wrong password, not allowed from this host, no such database.
var class = adapt.ByCode(func(e *pgconn.PgError) string { return e.Code }, map[string]func(error) error{
	"53300": adapt.Full, "28P01": driver.Permanent, "28000": driver.Permanent, "3D000": driver.Permanent,
})

// config parses a DSN with pgx and makes two changes. "discard all" drops prepared
// statements, so pgx must not rely on any. And when a query is cut off, pgx ends the
// connection in a separate goroutine: it dials again to cancel the query, and waits up
// to 15 seconds if the server is silent. Here it takes two.
func config(text string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = nc.SetDeadline(time.Now().Add(time.Second)) // until AfterNetConnect, or to cancel a query
		}
		return nc, err
	}
	cfg.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, nc net.Conn) (net.Conn, error) {
		return hasty{nc}, nc.SetDeadline(time.Time{})
	}
	return cfg, nil
}

// hasty is a connection whose deadlines are at most a second ahead.
type hasty struct{ net.Conn }

func (c hasty) SetDeadline(t time.Time) error {
	if soon := time.Now().Add(time.Second); soon.Before(t) {
		t = soon
	}
	return c.Conn.SetDeadline(t)
}
