//go:build linux

package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	"github.com/hotline-go/hotline/examples/postgres"
)

// drivers are the two drivers of this package, and how a test gets the pgx connection
// with each.
var drivers = []struct {
	name   string
	open   func(dsn string) (driver.Connector, error)
	client func(c driver.Conn) *pgx.Conn
}{
	{"pgx", openPGX, as[*pgx.Conn]},
	{"sql", postgres.SQL, func(c driver.Conn) *pgx.Conn { return as[*stdlib.Conn](c).Conn() }},
}

func openPGX(dsn string) (driver.Connector, error) { return driver.OpenConnector("postgres", dsn) }

func as[C any](c driver.Conn) C {
	client, ok := driver.As[C](c)
	if !ok {
		panic(fmt.Sprintf("%T is not a connection of the driver", c))
	}
	return client
}

func TestConformance(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			s := start(t, 20)
			drivertest.Run(t, func(t testing.TB) drivertest.Subject {
				addr, server := s.Relay(t)
				connector, err := d.open(dsn(addr))
				require.NoError(t, err)
				return drivertest.Subject{
					Connector: connector,
					Server:    server,
					Exchange:  func(c driver.Conn) error { return exchange(context.Background(), d.client(c), 1) },
					Spoil: func(c driver.Conn) error {
						_, err := d.client(c).Exec(context.Background(), "set statement_timeout = 77")
						return err
					},
					Fresh: func(c driver.Conn) error {
						var timeout string
						err := d.client(c).QueryRow(context.Background(), "show statement_timeout").Scan(&timeout)
						if err == nil {
							err = storm.Check(timeout, "0")
						}
						return err
					},
					Leftover: func(c driver.Conn) error {
						rows, err := d.client(c).Query(context.Background(), "select 'row ' || generate_series(1, 100000)")
						if err == nil && !rows.Next() {
							err = rows.Err()
						}
						return err
					},
					Fill:    func() (makeRoom func()) { return fill(t, s) },
					Secrets: []string{password},
					BadDSN: func() error {
						_, err := d.open(dsn(addr) + "?pool_max_conns=many&sslmode=nosuch")
						return err
					},
				}
			})
		})
	}
}

// fill uses up the remaining room of s.
func fill(t testing.TB, s *realserver.Server) (makeRoom func()) {
	connector, err := openPGX(dsn(s.Addr))
	require.NoError(t, err)
	var taken []driver.Conn
	for {
		c, err := connector.Connect(t.Context())
		if driver.IsFull(err) {
			break
		}
		require.NoError(t, err)
		taken = append(taken, c)
	}
	return func() {
		for _, c := range taken {
			assert.NoError(t, c.Close())
		}
	}
}

// exchange makes a query whose answer depends on n.
func exchange(ctx context.Context, c *pgx.Conn, n int) error {
	var got string
	want := fmt.Sprint("answer ", n)
	if err := c.QueryRow(ctx, "select $1::text", want).Scan(&got); err != nil {
		return err
	}
	return storm.Check(got, want)
}

const maxOpen = 12

// In both storms, the kernel counts more connections than MaxOpen: pgx also makes
// connections to cancel queries. They are not sessions, and PostgreSQL does not limit
// them.

func TestStorm(t *testing.T) {
	s := start(t, maxOpen)
	storm.Storm[*pgx.Conn]{
		Server: s, MaxOpen: maxOpen, Cut: 2000,
		Connector: func(addr string) (driver.Connector, error) { return openPGX(dsn(addr)) },
		Exchange:  exchange,
		Refused:   func() int { return logged(s, tooMany) },
	}.Run(t)
	assert.Equal(t, maxOpen, sessions(s), "the most sessions at a time since the restart")
}

func TestStormOfSQL(t *testing.T) {
	s := start(t, maxOpen)
	storm.Storm[*stdlib.Conn]{
		Server: s, MaxOpen: maxOpen, Cut: 2000,
		Connector: func(addr string) (driver.Connector, error) { return postgres.SQL(dsn(addr)) },
		Exchange:  func(ctx context.Context, c *stdlib.Conn, n int) error { return exchange(ctx, c.Conn(), n) },
		Refused:   func() int { return logged(s, tooMany) },
	}.Run(t)
	assert.Equal(t, maxOpen, sessions(s), "the most sessions at a time since the restart")
}
