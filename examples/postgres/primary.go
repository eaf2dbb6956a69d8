package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/hotline-go/hotline/driver"
)

// IsPrimary is the Want of an endpoints.Set for servers of which one takes writes:
//
//	connector, err := endpoints.New(endpoints.Set{
//		Addrs: []string{"db1:5432", "db2:5432"},
//		Connector: func(addr string) (driver.Connector, error) {
//			return driver.OpenConnector("postgres", "postgres://app:secret@"+addr+"/shop")
//		},
//		Want: postgres.IsPrimary,
//	})
//
// A server may become a replica later, or read-only. It then refuses writes with an
// error that [IsReadOnly] knows, and the program calls Pool.ResetIf with [At].
func IsPrimary(ctx context.Context, c driver.Conn) error {
	var readOnly string
	if err := client(c).QueryRow(ctx, "show transaction_read_only").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly != "off" {
		return fmt.Errorf("transaction_read_only is %s", readOnly)
	}
	return nil
}

// IsReadOnly reports whether err says that a replica refused a write. The write did
// nothing, and may be made again on the primary.
func IsReadOnly(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "25006"
}

// At returns a function for Pool.ResetIf that finds the connections to the server
// of c.
func At[C any](c C) func(C) bool {
	server := client(c).PgConn().Conn().RemoteAddr().String()
	return func(c C) bool { return client(c).PgConn().Conn().RemoteAddr().String() == server }
}

// client returns the pgx connection that c is or wraps.
func client(c any) *pgx.Conn {
	if a, ok := c.(driver.Adapter); ok {
		c = a.Client()
	}
	if s, ok := c.(*stdlib.Conn); ok {
		return s.Conn()
	}
	return c.(*pgx.Conn)
}
