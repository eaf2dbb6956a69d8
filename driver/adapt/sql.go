package adapt

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"net"
	"path"
	"reflect"
	"regexp"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// SQL turns a connector of any database/sql driver into a [driver.Connector]. The
// pool lends the SQL driver's own connections. So open the pool with their type, or
// an interface that they implement:
//
//	connector, err := adapt.SQL(c, adapt.Client[sqldriver.Conn]{Address: "db:5432"})
//	...
//	p, err := pool.New[*mydb.Conn](connector, pool.Config{})
//
// Connect comes from c. Close, Ping, Reset and Valid come from its connections,
// unless the Client sets them. The Client may add the rest, such as Address, which
// becomes part of the pool's name, Class, Answer and Closed. It must not set Start
// or Connect.
//
// The reverse is not possible: database/sql needs statements and transactions,
// which a [driver.Driver] does not have.
func SQL(c sqldriver.Connector, with Client[sqldriver.Conn]) (driver.Connector, error) {
	if c == nil {
		return nil, errors.New("adapt: SQL: want a connector, not nil")
	}
	if with.Connect != nil || with.Start != nil {
		return nil, errors.New("adapt: SQL: Connect and Start: want neither, because the connector connects")
	}
	with.Connect, with.learn = c.Connect, learnSQL
	if with.Advice.Name == "" {
		with.Advice.Name = poolName(registeredName(c.Driver()), with.Address)
	}
	return New(with)
}

// OpenSQL is [SQL] for the database/sql driver registered under name and a DSN in
// that driver's format. An empty Address becomes the host and port in dsn, if
// OpenSQL finds them. All errors pass through [driver.Redact].
func OpenSQL(name, dsn string, with Client[sqldriver.Conn]) (driver.Connector, error) {
	db, err := sql.Open(name, dsn)
	if err != nil {
		return nil, driver.Redact(name, dsn, err)
	}
	d := db.Driver()
	if err := db.Close(); err != nil {
		return nil, driver.Redact(name, dsn, err)
	}
	c, err := sqlConnector(d, dsn)
	if err != nil {
		return nil, driver.Redact(name, dsn, err)
	}
	if with.Address == "" {
		with.Address = hostOf(dsn)
	}
	if with.Advice.Name == "" {
		with.Advice.Name = poolName(name, with.Address)
	}
	with.Class = redacting(name, dsn, with.Class)
	return SQL(c, with)
}

// sqlConnector returns a connector for d and dsn, as database/sql does.
func sqlConnector(d sqldriver.Driver, dsn string) (sqldriver.Connector, error) {
	if dc, ok := d.(sqldriver.DriverContext); ok {
		return dc.OpenConnector(dsn)
	}
	return dsnConnector{d, dsn}, nil
}

// dsnConnector is the connector of an SQL driver that is not a DriverContext.
type dsnConnector struct {
	driver sqldriver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (sqldriver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() sqldriver.Driver                        { return c.driver }

// learnSQL sets the functions in with that c supports, unless with has its own.
func learnSQL(with *Client[sqldriver.Conn], c sqldriver.Conn) {
	if p, ok := c.(sqldriver.Pinger); ok && with.Ping == nil {
		with.Ping = func(ctx context.Context, _ sqldriver.Conn) error { return p.Ping(ctx) }
	}
	if r, ok := c.(sqldriver.SessionResetter); ok && with.Reset == nil {
		with.Reset = func(ctx context.Context, _ sqldriver.Conn) error { return r.ResetSession(ctx) }
	}
	if v, ok := c.(sqldriver.Validator); ok && with.Valid == nil {
		with.Valid = func(sqldriver.Conn) bool { return v.IsValid() }
	}
}

// registeredName returns the first name under which a driver of d's type is
// registered, or else the name of its package. For a nil driver it returns "sql".
func registeredName(d sqldriver.Driver) string {
	typ := reflect.TypeOf(d)
	if typ == nil {
		return "sql"
	}
	for _, name := range sql.Drivers() {
		if db, err := sql.Open(name, ""); err == nil { // does not connect
			same := reflect.TypeOf(db.Driver()) == typ
			db.Close()
			if same {
				return name
			}
		}
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return path.Base(typ.PkgPath())
}

// These find the host and port in a DSN that is not a URL: host=… and port=… as for
// PostgreSQL, or tcp(…) as for MySQL.
var (
	otherHosts = regexp.MustCompile(`(?:^| )host=([\w.-]+)(?: |$)|@tcp\(([\w.:\[\]-]+)\)/`)
	otherPorts = regexp.MustCompile(`(?:^| )port=(\d+)(?: |$)`)
)

// quoted matches a value in quotes, which may be a password with anything in it.
var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'`)

// hostOf returns the host in text, a DSN in any format, with its port, or "".
func hostOf(text string) string {
	if u, err := dsn.Parse(text); err == nil {
		return u.Address(0)
	}
	text = quoted.ReplaceAllString(text, "''")
	m := otherHosts.FindStringSubmatch(text)
	switch port := otherPorts.FindStringSubmatch(text); {
	case m == nil:
		return ""
	case m[1] != "" && port != nil:
		return net.JoinHostPort(m[1], port[1])
	}
	return m[1] + m[2]
}
