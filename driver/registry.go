package driver

import (
	"context"
	"fmt"
	"strings"

	"github.com/hotline-go/hotline/internal/registry"
)

// Register makes d available under name, usually from an init function. It
// panics if name is empty or taken, or if d is nil.
func Register(name string, d Driver) {
	if name == "" {
		panic("driver: Register with an empty name")
	}
	if d == nil {
		panic(fmt.Sprintf("driver: Register(%q) with a nil driver", name))
	}
	if !registry.Add(name, d) {
		panic(fmt.Sprintf("driver: Register(%q) called twice", name))
	}
}

// RegisterFunc registers a driver that is only a function: open returns a
// connector for a DSN, like the OpenConnector of a [DriverContext]. It panics as
// [Register] does, or if open is nil.
func RegisterFunc(name string, open func(dsn string) (Connector, error)) {
	if open == nil {
		panic(fmt.Sprintf("driver: RegisterFunc(%q) with a nil function", name))
	}
	Register(name, funcDriver(open))
}

// funcDriver is a driver made by RegisterFunc.
type funcDriver func(dsn string) (Connector, error)

// OpenConnector implements DriverContext.
func (f funcDriver) OpenConnector(dsn string) (Connector, error) { return f(dsn) }

// Open implements Driver. No context bounds it.
func (f funcDriver) Open(dsn string) (Conn, error) {
	c, err := f(dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// Drivers returns the names of the registered drivers, sorted.
func Drivers() []string { return registry.Names() }

// OpenConnector returns a connector of the driver registered under name. It does
// not dial. If the driver is a [DriverContext], OpenConnector reports a wrong DSN;
// otherwise Connect does. If the name is unknown, the error lists the registered
// names. If the name looks like a DSN, as when the two arguments are swapped, the
// error does not show it.
//
// Its errors are passed through [Redact]. So are the errors of Connect, if the
// driver is not a DriverContext.
func OpenConnector(name, dsn string) (Connector, error) {
	d, ok := registry.Get(name).(Driver)
	if !ok {
		return nil, unknownDriver(name)
	}
	dc, ok := d.(DriverContext)
	if !ok {
		return dsnConnector(func() (Conn, error) {
			c, err := d.Open(dsn)
			return c, Redact(name, dsn, err)
		}), nil
	}
	c, err := dc.OpenConnector(dsn)
	if err == nil && c == nil {
		err = fmt.Errorf("driver: %q returned neither a connector nor an error", name)
	}
	return c, Redact(name, dsn, err)
}

// unknownDriver returns the error for a name that is not registered. The usual
// cause is a forgotten blank import, so the error shows one. A name that looks
// like a DSN is not shown, because it may hold a password.
func unknownDriver(name string) error {
	have := "none"
	if names := Drivers(); len(names) > 0 {
		have = strings.Join(names, ", ")
	}
	if strings.ContainsAny(name, ":/@=?") {
		return fmt.Errorf("driver: the name of the driver looks like a DSN (registered: %s); the name comes first, then the DSN", have)
	}
	return fmt.Errorf("driver: unknown driver %q (registered: %s); import the package that registers it, "+
		`as in import _ "github.com/hotline-go/hotline/drivers/tcp"`, name, have)
}

// dsnConnector serves a Driver that is not a DriverContext. The DSN, which may
// hold a secret, is in a closure, where fmt can't print it.
type dsnConnector func() (Conn, error)

// Connect implements Connector.
func (open dsnConnector) Connect(context.Context) (Conn, error) { return open() }
