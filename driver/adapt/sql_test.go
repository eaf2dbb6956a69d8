package adapt_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
)

// sqlConnector is a database/sql connector and its driver. It returns conn and
// err.
type sqlConnector struct {
	conn sqldriver.Conn
	err  error
	dsn  string
}

func (c *sqlConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return c.conn, c.err
}
func (c *sqlConnector) Driver() sqldriver.Driver { return c }
func (c *sqlConnector) Open(dsn string) (sqldriver.Conn, error) {
	c.dsn = dsn
	return c.conn, c.err
}

// sqlConn has the optional interfaces that database/sql and package driver share.
type sqlConn struct {
	sqldriver.Conn
	calls []string
}

func (c *sqlConn) call(name string) error {
	c.calls = append(c.calls, name)
	return nil
}

func (c *sqlConn) Close() error                       { return c.call("Close") }
func (c *sqlConn) Ping(context.Context) error         { return c.call("Ping") }
func (c *sqlConn) ResetSession(context.Context) error { return c.call("ResetSession") }
func (c *sqlConn) IsValid() bool                      { return c.call("IsValid") == nil }

// plainSQLConn has none of the optional interfaces.
type plainSQLConn struct{ sqldriver.Conn }

func (plainSQLConn) Close() error { return nil }

// noSQL is a Client with nothing to add.
var noSQL = adapt.Client[sqldriver.Conn]{}

func TestSQLLendsTheConnectionsOfTheSQLDriver(t *testing.T) {
	conn := &sqlConn{}
	connector, err := adapt.SQL(&sqlConnector{conn: conn}, noSQL)
	require.NoError(t, err)
	c, err := connector.Connect(t.Context())
	require.NoError(t, err)
	client, ok := driver.As[*sqlConn](c)
	require.True(t, ok)
	require.Same(t, conn, client)
	assert.NoError(t, c.(driver.Pinger).Ping(t.Context()))
	assert.NoError(t, c.(driver.SessionResetter).ResetSession(t.Context()))
	assert.True(t, c.(driver.Validator).IsValid())
	assert.NoError(t, c.Close())
	assert.Equal(t, []string{"Ping", "ResetSession", "IsValid", "Close"}, conn.calls)
}

func TestSQLConnectionsHaveOnlyTheMethodsOfTheSQLDriver(t *testing.T) {
	connector, err := adapt.SQL(&sqlConnector{conn: plainSQLConn{}}, noSQL)
	require.NoError(t, err)
	c, err := connector.Connect(t.Context())
	require.NoError(t, err)
	_, pings := c.(driver.Pinger)
	_, resets := c.(driver.SessionResetter)
	_, validates := c.(driver.Validator)
	assert.False(t, pings || resets || validates)
}

func TestSQLNamesThePoolAfterTheRegisteredDriverAndTheHost(t *testing.T) {
	sql.Register("acmedb", &sqlConnector{})
	sql.Register("acmedb2", &sqlConnector{})
	for _, tc := range []struct {
		name string
		open func() (driver.Connector, error)
		want string
	}{
		{"registered", func() (driver.Connector, error) { return adapt.SQL(&sqlConnector{}, noSQL) }, "acmedb"},
		{"not registered", func() (driver.Connector, error) { return adapt.SQL(strange{}, noSQL) }, "adapt_test"},
		{"a connector that does not know its driver", func() (driver.Connector, error) { return adapt.SQL(driverless{}, noSQL) }, "sql"},
		{"second of two names", func() (driver.Connector, error) { return adapt.OpenSQL("acmedb2", "host=h", noSQL) }, "acmedb2 h"},
		{"address", func() (driver.Connector, error) {
			return adapt.SQL(&sqlConnector{}, adapt.Client[sqldriver.Conn]{Address: "h:1"})
		}, "acmedb h:1"},
		{"name", func() (driver.Connector, error) {
			return adapt.SQL(&sqlConnector{}, adapt.Client[sqldriver.Conn]{Advice: driver.Advice{Name: "orders"}})
		}, "orders"},
		{"URL", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", "acme://u:p4ssw0rd@db.example:5432/x", noSQL)
		}, "acmedb db.example:5432"},
		{"key=value", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", "user=u password=p4ssw0rd host=db.example port=5", noSQL)
		}, "acmedb db.example:5"},
		{"key=value without a port", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", "host=db.example password=p4ssw0rd", noSQL)
		}, "acmedb db.example"},
		{"MySQL", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", "u:p4ssw0rd@tcp(db.example:3306)/x", noSQL)
		}, "acmedb db.example:3306"},
		{"a quoted password with text like a host", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", `user=u password='it\'s host=s3cret port=1 x' host=db.example`, noSQL)
		}, "acmedb db.example"},
		{"a password with text like a host", func() (driver.Connector, error) {
			return adapt.OpenSQL("acmedb", "acme://u:12/34@db.example/x", noSQL)
		}, "acmedb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := tc.open()
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.(driver.Advisor).Advice().Name)
		})
	}
}

// strange is a connector whose driver is not registered.
type strange struct{ sqldriver.Connector }

func (strange) Driver() sqldriver.Driver { return strangeDriver{} }

// driverless is a connector that returns no driver.
type driverless struct{ sqldriver.Connector }

func (driverless) Driver() sqldriver.Driver { return nil }

type strangeDriver struct{ sqldriver.Driver }

func TestSQLPassesContextAndErrorsOn(t *testing.T) {
	errLogin := errors.New("wrong password")
	failing, err := adapt.SQL(&sqlConnector{conn: (*sqlConn)(nil), err: errLogin}, adapt.Client[sqldriver.Conn]{Class: driver.Permanent})
	require.NoError(t, err)
	c, err := failing.Connect(t.Context())
	assert.ErrorIs(t, err, errLogin)
	assert.True(t, driver.IsPermanent(err))
	assert.True(t, c == nil, "a connection returned with an error is dropped, even a typed nil")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = failing.Connect(ended)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestSQLRefusesWhatItCantUse(t *testing.T) {
	_, err := adapt.SQL(nil, noSQL)
	assert.EqualError(t, err, "adapt: SQL: want a connector, not nil")
	connect := func(context.Context) (sqldriver.Conn, error) { return nil, nil }
	_, err = adapt.SQL(&sqlConnector{}, adapt.Client[sqldriver.Conn]{Connect: connect})
	assert.EqualError(t, err, "adapt: SQL: Connect and Start: want neither, because the connector connects")
	_, err = adapt.OpenSQL("nosuch", "", noSQL)
	assert.ErrorContains(t, err, "nosuch")
}

func TestANilConnectionOfAnSQLDriverStaysNil(t *testing.T) {
	connector, err := adapt.SQL(&sqlConnector{}, noSQL)
	require.NoError(t, err)
	c, err := connector.Connect(t.Context())
	assert.NoError(t, err)
	assert.True(t, c == nil, "not an interface that holds a nil")
}

func TestOpenSQLGivesTheDSNToADriverWithoutConnectors(t *testing.T) {
	d := &sqlConnector{conn: &sqlConn{}, err: nil}
	sql.Register("opened", d)
	connector, err := adapt.OpenSQL("opened", "opened://u:p4ssw0rd@h", noSQL)
	require.NoError(t, err)
	_, err = connector.Connect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "opened://u:p4ssw0rd@h", d.dsn)

	d.err = errors.New("dial opened://u:p4ssw0rd@h: refused")
	_, err = connector.Connect(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "p4ssw0rd")
}
