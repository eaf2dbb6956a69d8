package benchmarks

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// sessionConn is reset before each use and validated after it, like connections with
// state. It does nothing in either.
type sessionConn struct{ conn }

func (*sessionConn) ResetSession(context.Context) error { return nil }
func (*sessionConn) IsValid() bool                      { return true }

// BenchmarkSession is BenchmarkSerial with a sessionConn, in the two pools that support
// that.
func BenchmarkSession(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("pool=hotline", func(b *testing.B) {
		p, err := pool.New[*sessionConn](sessionConnector{}, pool.Config{
			KeepAlive: keepAlive, MaxIdleTime: maxIdleTime, MaxLifetime: maxLifetime,
		})
		require.NoError(b, err)
		defer p.Close()
		b.ReportAllocs()
		for b.Loop() {
			l, err := p.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			l.Release()
		}
	})
	b.Run("pool=sql", func(b *testing.B) {
		db := sql.OpenDB(sqlSessionConnector{})
		defer db.Close()
		b.ReportAllocs()
		for b.Loop() {
			c, err := db.Conn(ctx)
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}

type sessionConnector struct{}

func (sessionConnector) Connect(context.Context) (driver.Conn, error) { return new(sessionConn), nil }

type sqlSessionConnector struct{}

func (sqlSessionConnector) Connect(context.Context) (sqldriver.Conn, error) {
	return new(sessionConn), nil
}
func (sqlSessionConnector) Driver() sqldriver.Driver { return nil }
