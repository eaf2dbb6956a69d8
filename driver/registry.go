package driver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// registry holds the drivers by name.
var registry = struct {
	mu      sync.RWMutex // guards drivers
	drivers map[string]Driver
}{drivers: map[string]Driver{}}

// Register makes d available under name, usually from an init function. It
// panics if name is empty or taken, or if d is nil.
func Register(name string, d Driver) {
	if name == "" {
		panic("driver: Register with an empty name")
	}
	if d == nil {
		panic(fmt.Sprintf("driver: Register(%q) with a nil driver", name))
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if _, taken := registry.drivers[name]; taken {
		panic(fmt.Sprintf("driver: Register(%q) called twice", name))
	}
	registry.drivers[name] = d
}

// Drivers returns the names of the registered drivers, sorted.
func Drivers() []string {
	registry.mu.RLock()
	defer registry.mu.RUnlock()
	return slices.Sorted(maps.Keys(registry.drivers))
}

// OpenConnector returns a connector of the driver registered under name. It
// does not dial, and it reports a wrong DSN if the driver is a
// [DriverContext]. For a name that nobody registered, the error lists those
// that are.
//
// An error of the driver that repeats the user-info of the DSN, which stands
// between :// and @ and may be a user:password, or repeats the password alone,
// is not passed on. The one in its place names the driver, is of the same
// classes, and wraps those errors in its chain that repeat neither. So is it
// with the errors of Connect if the driver is no DriverContext. Secrets
// elsewhere in a DSN are for the driver to keep.
func OpenConnector(name, dsn string) (Connector, error) {
	registry.mu.RLock()
	d, ok := registry.drivers[name]
	registry.mu.RUnlock()
	if !ok {
		return nil, unknownDriver(name)
	}
	dc, ok := d.(DriverContext)
	if !ok {
		return &dsnConnector{d, func() (Conn, error) {
			c, err := d.Open(dsn)
			return c, withoutSecrets(name, dsn, err)
		}}, nil
	}
	c, err := dc.OpenConnector(dsn)
	if err == nil && c == nil {
		err = fmt.Errorf("driver: %q returned neither a connector nor an error", name)
	}
	return c, withoutSecrets(name, dsn, err)
}

// packages names the package that registers each of our own drivers.
var packages = map[string]string{
	"tcp": "tcp", "unix": "tcp", "tls": "tls", "imap": "imap", "imaps": "imap",
}

// unknownDriver is the error for a name that nobody registered. The usual
// cause is a forgotten blank import, so it names the package to import.
func unknownDriver(name string) error {
	have := "none"
	if names := Drivers(); len(names) > 0 {
		have = strings.Join(names, ", ")
	}
	hint := "import the package that registers it"
	if pkg, ok := packages[name]; ok {
		hint = fmt.Sprintf(`forgotten import _ "github.com/hotline-go/hotline/drivers/%s"?`, pkg)
	}
	return fmt.Errorf("driver: unknown driver %q (registered: %s); %s", name, have, hint)
}

// dsnConnector serves a Driver that is no DriverContext. The DSN, which may
// hold a secret, is in a closure, where fmt can't print it.
type dsnConnector struct {
	driver Driver
	open   func() (Conn, error)
}

func (c *dsnConnector) Connect(context.Context) (Conn, error) { return c.open() }
func (c *dsnConnector) Driver() Driver                        { return c.driver }

// Replace puts d in the place of the driver registered under name, and returns
// the one that was there, or nil. A nil d takes the name out of the registry.
// It is there for tests: use drivertest.Swap, which puts the old one back.
func Replace(name string, d Driver) (previous Driver) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	previous = registry.drivers[name]
	if d == nil {
		delete(registry.drivers, name)
	} else {
		registry.drivers[name] = d
	}
	return previous
}
