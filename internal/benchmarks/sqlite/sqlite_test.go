package sqlite_test

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sqliteConn has the methods of a modernc.org/sqlite connection that the tests use.
// The type of the connection is not exported.
type sqliteConn interface {
	sqldriver.ExecerContext
	sqldriver.QueryerContext
}

// connector opens the database that dsn names.
func connector(t testing.TB, dsn string) driver.Connector {
	c, err := adapt.OpenSQL("sqlite", dsn, adapt.Client[sqldriver.Conn]{})
	require.NoError(t, err)
	return c
}

// openSQLite returns a pool of connections to a new database with a table t.
func openSQLite(t testing.TB, maxOpen int) *pool.Pool[sqliteConn] {
	dsn := "file:" + filepath.Join(t.TempDir(), "test.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)"
	p, err := pool.New[sqliteConn](connector(t, dsn), pool.Config{MaxOpen: maxOpen})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	require.NoError(t, exec(t.Context(), p, "CREATE TABLE t (n INTEGER PRIMARY KEY)"))
	return p
}

func exec(ctx context.Context, p *pool.Pool[sqliteConn], query string, args ...sqldriver.NamedValue) error {
	return p.Do(ctx, func(ctx context.Context, c sqliteConn) error {
		_, err := c.ExecContext(ctx, query, args)
		return err
	})
}

// number returns the only value of the only row.
func number(ctx context.Context, p *pool.Pool[sqliteConn], query string) (int64, error) {
	return pool.Call(ctx, p, func(ctx context.Context, c sqliteConn) (int64, error) {
		rows, err := c.QueryContext(ctx, query, nil)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		row := make([]sqldriver.Value, 1)
		if err := rows.Next(row); err != nil {
			return 0, err
		}
		if err := rows.Next(make([]sqldriver.Value, 1)); err != io.EOF {
			return 0, fmt.Errorf("more than one row: %w", err)
		}
		return row[0].(int64), nil
	})
}

func TestSQLDriverIsPooled(t *testing.T) {
	p := openSQLite(t, 4)
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			arg := sqldriver.NamedValue{Ordinal: 1, Value: int64(n)}
			assert.NoError(t, exec(t.Context(), p, "INSERT INTO t VALUES (?)", arg))
		})
	}
	wg.Wait()
	got, err := number(t.Context(), p, "SELECT sum(n) FROM t")
	require.NoError(t, err)
	assert.EqualValues(t, 50*49/2, got)
	assert.LessOrEqual(t, p.Stats().Open, 4)
	assert.EqualValues(t, p.Stats().Open, p.Stats().Connects, "no connection was replaced")
}

func TestSQLConnectionHasOurOptionalInterfaces(t *testing.T) {
	assert.NoError(t, openSQLite(t, 1).Do(t.Context(), func(_ context.Context, c sqliteConn) error {
		assert.Implements(t, (*driver.Pinger)(nil), c)
		assert.Implements(t, (*driver.SessionResetter)(nil), c)
		assert.Implements(t, (*driver.Validator)(nil), c)
		return nil
	}))
}

func TestSQLErrorOfAStatementKeepsTheConnection(t *testing.T) {
	p := openSQLite(t, 1)
	assert.ErrorContains(t, exec(t.Context(), p, "SELEKT"), "syntax error")
	assert.NoError(t, exec(t.Context(), p, "INSERT INTO t VALUES (1)"))
	assert.EqualValues(t, 1, p.Stats().Connects)
}

func TestSQLBadConnectionIsReplaced(t *testing.T) {
	p := openSQLite(t, 1)
	err := p.Do(t.Context(), func(context.Context, sqliteConn) error {
		return fmt.Errorf("the disk is gone: %w", sqldriver.ErrBadConn)
	})
	assert.ErrorIs(t, err, sqldriver.ErrBadConn)
	assert.NoError(t, exec(t.Context(), p, "INSERT INTO t VALUES (1)"))
	assert.EqualValues(t, 2, p.Stats().Connects)
	assert.EqualValues(t, 1, p.Stats().Closed.Bad)
}

func TestSQLConnectErrorIsReported(t *testing.T) {
	dsn := "file:" + filepath.Join(t.TempDir(), "no", "such", "folder", "test.db")
	p, err := pool.New[sqliteConn](connector(t, dsn), pool.Config{})
	require.NoError(t, err)
	defer p.Close()
	err = exec(t.Context(), p, "SELECT 1")
	var failed *pool.AcquireError
	require.True(t, errors.As(err, &failed), "%v", err)
	assert.ErrorContains(t, failed.Connect, "unable to open database file")
}
