//go:build linux

package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	sqldriver "database/sql/driver"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/examples/postgres"
	"github.com/hotline-go/hotline/pool"
)

// openSQL is the minimum that a program must write to use pgx's driver for database/sql.
func openSQL(dsn string) (driver.Connector, error) {
	return adapt.OpenSQL("pgx", dsn, adapt.Client[sqldriver.Conn]{Class: postgres.Class})
}

func TestAPoolOfSQLIsNamedAfterTheRegisteredDriverAndTheHost(t *testing.T) {
	const url, settings = "postgres://app:s3cret@127.0.0.1:5433/shop", "host=127.0.0.1 port=5433 user=app password=s3cret"
	for _, tc := range []struct {
		name, dsn string
		open      func(dsn string) (driver.Connector, error)
	}{
		{"OpenSQL, URL", url, openSQL},
		{"OpenSQL, settings", settings, openSQL},
		{"SQL, URL", url, postgres.SQL},
		{"SQL, settings", settings, postgres.SQL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			connector, err := tc.open(tc.dsn)
			require.NoError(t, err)
			p, err := pool.New[*stdlib.Conn](connector, pool.Config{})
			require.NoError(t, err)
			defer p.Close()
			assert.Equal(t, `pool "pgx 127.0.0.1:5433"`, p.String())
		})
	}
}

func TestAWrongPasswordIsTriedMaxConnectingTimesAndShownToNobody(t *testing.T) {
	const maxConnecting = 3
	s := start(t, 12)
	wrong := map[string]string{
		"URL":      "postgres://app:wr0ng%2Cw%2Frd@" + s.Addr + "/postgres",
		"settings": "host=127.0.0.1 port=" + s.Port() + " user=app dbname=postgres password='wr0ng,w/rd'",
	}
	for _, tc := range []struct {
		name, dsn string
		open      func(dsn string) (driver.Connector, error)
	}{
		{"pgx, URL", wrong["URL"], openPGX},
		{"OpenSQL, URL", wrong["URL"], openSQL},
		{"OpenSQL, settings", wrong["settings"], openSQL},
		{"SQL, URL", wrong["URL"], postgres.SQL},
		{"SQL, settings", wrong["settings"], postgres.SQL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := logged(s, wrongPassword)
			connector, err := tc.open(tc.dsn)
			require.NoError(t, err)
			p, err := pool.New[driver.Conn](connector, pool.Config{MaxOpen: 12, MaxConnecting: maxConnecting})
			require.NoError(t, err)
			defer p.Close()
			for range 2 {
				for _, err := range fromCallers(t, p) {
					assert.True(t, driver.IsPermanent(err), "%v", err)
					shown(t, err)
				}
			}
			shown(t, connector)
			attempts := logged(s, wrongPassword) - before
			assert.Positive(t, attempts)
			assert.LessOrEqual(t, attempts, maxConnecting)
		})
	}
}

// fromCallers returns the errors of 40 concurrent callers.
func fromCallers(t *testing.T, p *pool.Pool[driver.Conn]) []error {
	errs := make([]error, 40)
	var callers sync.WaitGroup
	for i := range errs {
		callers.Go(func() { // ends with its Acquire
			_, errs[i] = p.Acquire(t.Context())
		})
	}
	callers.Wait()
	return errs
}

// shown fails the test if v or an error in its chain shows the password.
func shown(t *testing.T, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		text := fmt.Sprintf(verb, v)
		for _, secret := range []string{"wr0ng,w/rd", url.QueryEscape("wr0ng,w/rd")} {
			assert.False(t, strings.Contains(text, secret), "printed by %s, %T shows the password", verb, v)
		}
	}
	if err, ok := v.(error); ok {
		if inner := errors.Unwrap(err); inner != nil {
			shown(t, inner)
		}
	}
}

func TestAFaultyDSNShowsNoPassword(t *testing.T) {
	for _, open := range []func(dsn string) (driver.Connector, error){openPGX, openSQL, postgres.SQL} {
		for _, faulty := range []string{
			"postgres://app:wr0ng%2Cw%2Frd@127.0.0.1:1/x?sslmode=nosuch",
			"postgres://app:wr0ng%2Cw%2Frd@127.0.0.1:port/x",
			"host=127.0.0.1 port=many password='wr0ng,w/rd'",
		} {
			connector, err := open(faulty)
			if err == nil { // pgx may parse it only when it connects
				_, err = connector.Connect(t.Context())
			}
			require.Error(t, err)
			shown(t, err)
		}
	}
}
