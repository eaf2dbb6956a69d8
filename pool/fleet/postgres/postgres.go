// Package postgres stores the budgets of package fleet in PostgreSQL, through any driver
// for database/sql, such as github.com/jackc/pgx/v5/stdlib.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	_, err = db.ExecContext(ctx, postgres.Schema) // once
//	...
//	gate, err := fleet.New(postgres.New(db), fleet.Config{Budget: "depot", Limit: 100})
//
// A gate makes one call at a time, so its db needs one connection. The server counts
// that connection too: leave room for it beside the budget.
//
// After its import, DSNs can also name budgets, if a driver named pgx or postgres is
// registered with database/sql:
//
//	postgres://user:pw@10.0.0.5/database/depot?limit=100&sslmode=require
//
// The last part of the path is the budget. The driver gets the rest, without the
// parameters of package fleet. Create the tables by hand first.
//
// # Locks
//
// Each call is one statement, and no lock outlives it. With an advisory lock, a process
// that stops or loses its network between two calls would block the others; here it
// does not.
//
// # When PostgreSQL loses data
//
// A failover to a replica that was behind loses the last grants. The ledger has the
// start time of the server that it was written on. On another server, or after
// a restart, the budget counts as lost, and package fleet learns it again.
package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hotline-go/hotline/pool/fleet"
)

// Schema is the SQL that creates the tables if they do not exist.
const Schema = `
CREATE TABLE IF NOT EXISTS hotline_budgets (
	budget  text PRIMARY KEY,
	version text NOT NULL,
	life    text NOT NULL,
	learn   timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS hotline_grants (
	budget  text NOT NULL,
	owner   text NOT NULL,
	version text NOT NULL,
	may     integer NOT NULL,
	held    integer NOT NULL,
	want    integer NOT NULL,
	till    timestamptz NOT NULL,
	PRIMARY KEY (budget, owner)
);
`

// Store is a [fleet.Store].
type Store struct{ db *sql.DB }

// New returns a store that uses the tables of Schema. They must exist.
func New(db *sql.DB) *Store { return &Store{db} }

const (
	life = `extract(epoch FROM pg_postmaster_start_time())::text` // in no session's time zone

	// now() is read before the snapshot is taken. Otherwise a read that is delayed
	// between the two would find that a row is gone, although it was renewed meanwhile.
	read = `SELECT b.version, b.life <> ` + life + `, b.learn > now(), g.owner, g.version, g.may, g.held, g.want,
	ceil(extract(epoch FROM g.till - now()) * 1000)::bigint
FROM hotline_budgets b LEFT JOIN hotline_grants g ON g.budget = b.budget AND g.till > now()
WHERE b.budget = $1`

	// The arguments of a write are budget, version, new version, learn in milliseconds,
	// owner, the version of its row, left in milliseconds, may, held and want. The row
	// gets the new version too.
	//
	// First, own is the owner's row if it is the one that was read. It is locked, so that
	// no other write, late or early, changes it meanwhile.
	find = `WITH own AS (
	SELECT till FROM hotline_grants
	WHERE budget = $1 AND owner = $5 AND version = $6 AND till > clock_timestamp() FOR UPDATE), `
	unchanged = `CASE WHEN $6 <> '' THEN EXISTS (SELECT FROM own)
		ELSE NOT EXISTS (SELECT FROM hotline_grants WHERE budget = $1 AND owner = $5 AND till > clock_timestamp()) END`

	// Then b has a row if the write is allowed: insert makes the ledger, update changes
	// its version, and keep only finds it. A call of a Gate may take a third of a row's
	// time. So if less than that is left, others may read that the row is gone before
	// keep commits: update is used then.
	insert = `b AS (
	INSERT INTO hotline_budgets
	SELECT $1, $2 || $3, ` + life + `, clock_timestamp() + $4::bigint * interval '1 millisecond' WHERE ` + unchanged + `
	ON CONFLICT DO NOTHING RETURNING 1)`
	update = `b AS (
	UPDATE hotline_budgets SET version = $3,
		life = CASE WHEN $4::bigint > 0 THEN ` + life + ` ELSE life END,
		learn = CASE WHEN $4::bigint > 0 THEN clock_timestamp() + $4::bigint * interval '1 millisecond' ELSE learn END
	WHERE budget = $1 AND version = $2 AND ($4::bigint > 0 OR life = ` + life + `) AND ` + unchanged + ` RETURNING 1)`
	keep = `b AS (
	SELECT FROM hotline_budgets WHERE budget = $1 AND ($2 || $4::bigint) IS NOT NULL AND life = ` + life + `
		AND CASE WHEN $8::integer = 0 THEN ` + unchanged + `
			ELSE EXISTS (SELECT FROM own WHERE till > clock_timestamp() + $7::bigint / 3 * interval '1 millisecond') END)`

	// Last, the row is put or removed, and others whose time has passed are removed,
	// except rows that another statement has locked.
	row = `, gone AS (
	DELETE FROM hotline_grants WHERE EXISTS (SELECT FROM b) AND (budget, owner) IN (
		SELECT budget, owner FROM hotline_grants WHERE budget = $1
			AND CASE WHEN owner = $5 THEN $7::bigint <= 0 ELSE till <= clock_timestamp() END
		FOR UPDATE SKIP LOCKED)),
put AS (
	INSERT INTO hotline_grants AS g
	SELECT $1, $5, $3, $8::integer, $9::integer, $10::integer, clock_timestamp() + $7::bigint * interval '1 millisecond' FROM b WHERE $7::bigint > 0
	ON CONFLICT (budget, owner) DO UPDATE SET version = EXCLUDED.version, may = EXCLUDED.may, held = EXCLUDED.held, want = EXCLUDED.want, till = EXCLUDED.till
	WHERE g.version = $6 OR g.till <= clock_timestamp() RETURNING 1)
SELECT count(*) FROM b WHERE $7::bigint <= 0 OR EXISTS (SELECT FROM put)`
)

// Read implements [fleet.Store].
func (s *Store) Read(ctx context.Context, budget string) (fleet.Ledger, error) {
	l := fleet.Ledger{Lost: true}
	rows, err := s.db.QueryContext(ctx, read, budget)
	if err != nil {
		return l, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var owner, version sql.NullString
		var may, held, want, left sql.NullInt64
		if err := rows.Scan(&l.Version, &l.Lost, &l.Learning, &owner, &version, &may, &held, &want, &left); err != nil {
			return l, failed(err)
		}
		if owner.Valid { // else the budget has no rows
			l.Rows = append(l.Rows, fleet.Row{Owner: owner.String, Version: version.String, May: int(may.Int64), Held: int(held.Int64), Want: int(want.Int64),
				Left: time.Duration(left.Int64) * time.Millisecond})
		}
	}
	return l, failed(rows.Err())
}

// Write implements [fleet.Store].
func (s *Store) Write(ctx context.Context, budget, version string, e fleet.Entry) (bool, error) {
	write := func(statement string) (bool, error) {
		var n int
		err := s.db.QueryRowContext(ctx, find+statement+row, budget, version, rand.Text(), millis(e.Learn),
			e.Owner, e.Version, millis(e.Left), e.May, e.Held, e.Want).Scan(&n)
		return n == 1, failed(err)
	}
	switch {
	case version == "":
		return write(insert)
	case e.Grows || e.Learn > 0:
		return write(update)
	}
	if ok, err := write(keep); ok || err != nil {
		return ok, err
	}
	return write(update)
}

// millis returns d in milliseconds, rounded up, so that a row does not end early.
func millis(d time.Duration) int64 { return max(int64((d+time.Millisecond-1)/time.Millisecond), 0) }

// failed says where err comes from, and what to do if the tables are missing.
func failed(err error) error {
	var state interface{ SQLState() string }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &state) && state.SQLState() == "42P01": // undefined table
		return fmt.Errorf("fleet/postgres: %w; run postgres.Schema to create the tables", err)
	}
	return fmt.Errorf("fleet/postgres: %w", err)
}

// own is a store that closes its database handle.
type own struct {
	*Store
	io.Closer
}

func init() {
	for _, scheme := range []string{"postgres", "postgresql"} {
		fleet.Register(scheme, func(dsn string) (fleet.Store, error) {
			for _, name := range []string{"pgx", "postgres"} {
				if slices.Contains(sql.Drivers(), name) {
					db, err := sql.Open(name, dsn)
					if err != nil {
						return nil, err
					}
					db.SetMaxOpenConns(1)
					return own{New(db), db}, nil
				}
			}
			return nil, errors.New(`no driver named pgx or postgres is registered with database/sql; import one, such as _ "github.com/jackc/pgx/v5/stdlib"`)
		})
	}
}
