package driver_test

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
)

// sqlConnector is a database/sql connector, and its driver, that returns what
// it holds.
type sqlConnector struct {
	conn sqldriver.Conn
	err  error
	dsn  string
}

func (c sqlConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return c.conn, c.err
}
func (c sqlConnector) Driver() sqldriver.Driver            { return c }
func (c sqlConnector) Open(string) (sqldriver.Conn, error) { return c.conn, c.err }

// sqlConn has the optional interfaces that database/sql and we have in common.
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

func TestSQLConnectionsAreThoseOfTheSQLDriver(t *testing.T) {
	conn := &sqlConn{}
	c, err := driver.SQL(sqlConnector{conn: conn}).Connect(t.Context())
	require.NoError(t, err)
	require.Same(t, conn, c)
	assert.NoError(t, c.(driver.Pinger).Ping(t.Context()))
	assert.NoError(t, c.(driver.SessionResetter).ResetSession(t.Context()))
	assert.True(t, c.(driver.Validator).IsValid())
	assert.NoError(t, c.Close())
	assert.Equal(t, []string{"Ping", "ResetSession", "IsValid", "Close"}, conn.calls)
}

func TestSQLNamesThePoolAfterTheDriver(t *testing.T) {
	advice := driver.SQL(sqlConnector{conn: &sqlConn{}}).(driver.Advisor).Advice()
	assert.Contains(t, advice.Name, "driver_test.")
}

func TestSQLPassesContextAndErrorsOn(t *testing.T) {
	errLogin := errors.New("wrong password")
	failing := driver.SQL(sqlConnector{conn: (*sqlConn)(nil), err: errLogin})
	c, err := failing.Connect(t.Context())
	assert.Equal(t, errLogin, err)
	assert.True(t, c == nil, "a connection beside an error is dropped, a typed nil as well")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = failing.Connect(ended)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestSQLNilStaysNil(t *testing.T) {
	assert.True(t, driver.SQL(nil) == nil)
	c, err := driver.SQL(sqlConnector{}).Connect(t.Context())
	assert.NoError(t, err)
	assert.True(t, c == nil, "a nil connection is no connection that holds a nil")
	c, err = driver.SQL(sqlConnector{}).Driver().Open("")
	assert.NoError(t, err)
	assert.True(t, c == nil)
}

func TestSQLDriverOpens(t *testing.T) {
	conn := &sqlConn{}
	c, err := driver.SQL(sqlConnector{conn: conn}).Driver().Open("dsn")
	assert.NoError(t, err)
	assert.Same(t, conn, c)

	errLogin := errors.New("wrong password")
	_, err = driver.SQL(sqlConnector{err: errLogin}).Driver().Open("dsn")
	assert.Equal(t, errLogin, err)
}
