package benchmarks

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/puddle/v2"
	commons "github.com/jolestar/go-commons-pool/v2"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// The settings of all pools that have them.
const (
	keepAlive   = 30 * time.Second
	maxIdleTime = 5 * time.Minute
	maxLifetime = 30 * time.Minute
)

// target is a pool under test.
type target interface {
	// use borrows a connection, calls hold unless it is nil, and gives the connection
	// back. It returns an error if it can't borrow one.
	use(ctx context.Context, hold func()) error
	close()
}

// candidate is a target to open. connect makes its connections.
type candidate struct {
	name string
	open func(tb testing.TB, size int, connect func() *conn) target
}

// candidates has all the pools to compare, hotline first.
var candidates = []candidate{
	{"hotline", openHotline},
	{"channel", openChannel},
	{"sql", openSQL},
	{"puddle", openPuddle},
	{"redigo", openRedigo},
	{"commons", openCommons},
}

// forEach runs f as a sub-benchmark with a target of each candidate, of size
// connections, all of them open.
func forEach(b *testing.B, candidates []candidate, size int, f func(b *testing.B, t target)) {
	for _, c := range candidates {
		b.Run("pool="+c.name, func(b *testing.B) {
			t := c.open(b, size, newConn)
			defer t.close()
			warm(b, t, size)
			b.ReportAllocs()
			b.ResetTimer()
			f(b, t)
		})
	}
}

// warm makes t open n connections by holding them all at once.
func warm(tb testing.TB, t target, n int) {
	if n == 0 {
		return
	}
	require.NoError(tb, t.use(context.Background(), func() { warm(tb, t, n-1) }))
}

// conn is a connection that does nothing, for all targets.
type conn struct {
	_ [64]byte // not empty, so that each has its own address
}

func newConn() *conn { return new(conn) }

func (*conn) Close() error               { return nil }
func (*conn) Ping(context.Context) error { return nil }

// For database/sql.
func (*conn) Prepare(string) (sqldriver.Stmt, error) { return nil, errors.ErrUnsupported }
func (*conn) Begin() (sqldriver.Tx, error)           { return nil, errors.ErrUnsupported }

// For redigo.
func (*conn) Err() error                     { return nil }
func (*conn) Do(string, ...any) (any, error) { return nil, nil }
func (*conn) Send(string, ...any) error      { return nil }
func (*conn) Flush() error                   { return nil }
func (*conn) Receive() (any, error)          { return nil, nil }

type hotlineTarget struct{ p *pool.Pool[*conn] }

// connector makes hotline's connections.
type connector func() *conn

func (c connector) Connect(context.Context) (driver.Conn, error) { return c(), nil }

func openHotline(tb testing.TB, size int, connect func() *conn) target {
	p, err := pool.New[*conn](connector(connect), pool.Config{
		MaxOpen: size, KeepAlive: keepAlive, MaxIdleTime: maxIdleTime, MaxLifetime: maxLifetime,
	})
	require.NoError(tb, err)
	return hotlineTarget{p}
}

func (t hotlineTarget) use(ctx context.Context, hold func()) error {
	l, err := t.p.Acquire(ctx)
	if err != nil {
		return err
	}
	if hold != nil {
		hold()
	}
	l.Release()
	return nil
}

func (t hotlineTarget) close() { t.p.Close() }

// channelTarget is the pool that people write by hand: all connections are made
// in advance.
type channelTarget chan *conn

func openChannel(_ testing.TB, size int, connect func() *conn) target {
	t := make(channelTarget, size)
	for range size {
		t <- connect()
	}
	return t
}

func (t channelTarget) use(ctx context.Context, hold func()) error {
	select {
	case c := <-t:
		if hold != nil {
			hold()
		}
		t <- c
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t channelTarget) close() {}

// bareTarget is a channel that ignores the context, which no pool can do. It costs
// only a receive and a send. It is compared only where nobody waits.
type bareTarget struct{ channelTarget }

func openBare(tb testing.TB, size int, connect func() *conn) target {
	return bareTarget{openChannel(tb, size, connect).(channelTarget)}
}

func (t bareTarget) use(_ context.Context, hold func()) error {
	c := <-t.channelTarget
	if hold != nil {
		hold()
	}
	t.channelTarget <- c
	return nil
}

type sqlTarget struct{ db *sql.DB }

// sqlConnector makes the connections of database/sql.
type sqlConnector func() *conn

func (c sqlConnector) Connect(context.Context) (sqldriver.Conn, error) { return c(), nil }
func (sqlConnector) Driver() sqldriver.Driver                          { return nil }

func openSQL(_ testing.TB, size int, connect func() *conn) target {
	db := sql.OpenDB(sqlConnector(connect))
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return sqlTarget{db}
}

func (t sqlTarget) use(ctx context.Context, hold func()) error {
	c, err := t.db.Conn(ctx)
	if err != nil {
		return err
	}
	if hold != nil {
		hold()
	}
	return c.Close()
}

func (t sqlTarget) close() { t.db.Close() }

// puddleTarget leaves idle and old connections to its user, as puddle does.
type puddleTarget struct{ p *puddle.Pool[*conn] }

func openPuddle(tb testing.TB, size int, connect func() *conn) target {
	p, err := puddle.NewPool(&puddle.Config[*conn]{
		Constructor: func(context.Context) (*conn, error) { return connect(), nil },
		Destructor:  func(*conn) {},
		MaxSize:     int32(size),
	})
	require.NoError(tb, err)
	return puddleTarget{p}
}

func (t puddleTarget) use(ctx context.Context, hold func()) error {
	r, err := t.p.Acquire(ctx)
	if err != nil {
		return err
	}
	if hold != nil {
		hold()
	}
	r.Release()
	return nil
}

func (t puddleTarget) close() { t.p.Close() }

type redigoTarget struct{ p *redis.Pool }

func openRedigo(_ testing.TB, size int, connect func() *conn) target {
	return redigoTarget{&redis.Pool{
		Dial:    func() (redis.Conn, error) { return connect(), nil },
		MaxIdle: size, MaxActive: size, Wait: true,
		IdleTimeout: maxIdleTime, MaxConnLifetime: maxLifetime,
	}}
}

func (t redigoTarget) use(ctx context.Context, hold func()) error {
	c, err := t.p.GetContext(ctx)
	if err != nil {
		return err
	}
	if hold != nil {
		hold()
	}
	return c.Close()
}

func (t redigoTarget) close() { t.p.Close() }

type commonsTarget struct{ p *commons.ObjectPool }

func openCommons(_ testing.TB, size int, connect func() *conn) target {
	ctx := context.Background()
	config := commons.NewDefaultPoolConfig()
	config.MaxTotal, config.MaxIdle = size, size
	config.MinEvictableIdleTime = maxIdleTime
	config.TimeBetweenEvictionRuns = keepAlive
	return commonsTarget{commons.NewObjectPool(ctx, commons.NewPooledObjectFactorySimple(
		func(context.Context) (any, error) { return connect(), nil }), config)}
}

func (t commonsTarget) use(ctx context.Context, hold func()) error {
	c, err := t.p.BorrowObject(ctx)
	if err != nil {
		return err
	}
	if hold != nil {
		hold()
	}
	return t.p.ReturnObject(ctx, c)
}

func (t commonsTarget) close() { t.p.Close(context.Background()) }
