package driver

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
)

// SQL makes a connector of any database/sql driver one of ours. Its
// connections are those of the SQL driver itself, whose Close, Ping,
// ResetSession and IsValid have the shape that is wanted here, so a pool of
// them is opened as
//
//	pool.New[*mydb.Conn](driver.SQL(connector), pool.Config{})
//
// with the SQL driver's own connection type, or with any interface it has.
// SQL returns nil for nil. There is no way back: a driver of ours can't be
// given to database/sql, which wants statements and transactions.
func SQL(c sqldriver.Connector) Connector {
	if c == nil {
		return nil
	}
	return &sqlConnector{c.Connect, c.Driver}
}

// sqlConnector holds the methods of an SQL connector rather than the connector,
// whose DSN fmt would print.
type sqlConnector struct {
	connect func(context.Context) (sqldriver.Conn, error)
	driver  func() sqldriver.Driver
}

func (s *sqlConnector) Connect(ctx context.Context) (Conn, error) {
	c, err := s.connect(ctx)
	if err != nil || c == nil {
		return nil, err // a nil interface, not one that holds a nil
	}
	return c, nil
}

func (s *sqlConnector) Driver() Driver { return sqlDriver{s.driver()} }

// Advice names the pool after the SQL driver, since the DSN is not known here.
func (s *sqlConnector) Advice() Advice { return Advice{Name: fmt.Sprintf("%T", s.driver())} }

type sqlDriver struct{ d sqldriver.Driver }

func (s sqlDriver) Open(dsn string) (Conn, error) {
	c, err := s.d.Open(dsn)
	if err != nil || c == nil {
		return nil, err
	}
	return c, nil
}
