package postgres

import (
	"context"
	sqldriver "database/sql/driver"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
)

// SQL returns a connector for a pool of *stdlib.Conn, the connections that pgx makes for
// database/sql. text is a DSN for pgx, in any format.
func SQL(text string) (driver.Connector, error) {
	cfg, err := config(text)
	if err != nil {
		return nil, driver.Redact("pgx", text, err)
	}
	with := sqlClient()
	with.Address = net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	return adapt.SQL(stdlib.GetConnector(*cfg), with)
}

// sqlClient adds what pgx's driver for database/sql lacks. Before the next use, that
// driver only checks that no transaction is open and, after a second without use, that the
// server answers.
func sqlClient() adapt.Client[sqldriver.Conn] {
	return adapt.Client[sqldriver.Conn]{
		Close:  func(c sqldriver.Conn) error { return end(under(c)) },
		Valid:  func(c sqldriver.Conn) bool { return !under(c).IsClosed() && !under(c).IsBusy() },
		Reset:  func(ctx context.Context, c sqldriver.Conn) error { return reset(ctx, under(c)) },
		Class:  class,
		Answer: adapt.IsA[*pgconn.PgError],
	}
}

func under(c sqldriver.Conn) *pgconn.PgConn { return c.(*stdlib.Conn).Conn().PgConn() }
