package driver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/registry"
)

const secretDSN = "plain://user:p4ssw0rd@host"

var errOpen = errors.New("no such host")

// plain is a driver that can only Open.
type plain struct{ opened *[]string }

func (p plain) Open(dsn string) (driver.Conn, error) {
	if p.opened != nil {
		*p.opened = append(*p.opened, dsn)
	}
	return nil, errOpen
}

// parsing is a DriverContext whose OpenConnector is open.
type parsing struct {
	plain
	open func(dsn string) (driver.Connector, error)
}

func (p parsing) OpenConnector(dsn string) (driver.Connector, error) { return p.open(dsn) }

// register makes d available until the test ends.
func register(t *testing.T, name string, d driver.Driver) {
	driver.Register(name, d)
	t.Cleanup(func() { registry.Replace(name, nil) })
}

func TestRegisterPanicsOnMisuse(t *testing.T) {
	register(t, "taken", plain{})
	for name, tt := range map[string]struct {
		name   string
		driver driver.Driver
		want   string
	}{
		"empty name": {"", plain{}, "driver: Register with an empty name"},
		"nil driver": {"fresh", nil, `driver: Register("fresh") with a nil driver`},
		"taken name": {"taken", plain{}, `driver: Register("taken") called twice`},
	} {
		t.Run(name, func(t *testing.T) {
			before := driver.Drivers()
			assert.PanicsWithValue(t, tt.want, func() { driver.Register(tt.name, tt.driver) })
			assert.Equal(t, before, driver.Drivers())
			register(t, "after a panic", plain{}) // would block if the registry were still locked
		})
	}
}

func TestDriversAreSorted(t *testing.T) {
	for _, name := range []string{"b", "c", "a"} {
		register(t, name, plain{})
	}
	assert.Equal(t, []string{"a", "b", "c"}, driver.Drivers())
}

func TestAnUnknownNameListsTheRegisteredNamesAndShowsAnImport(t *testing.T) {
	const hint = `; import the package that registers it, as in import _ "github.com/hotline-go/hotline/drivers/tcp"`
	_, err := driver.OpenConnector("impa", secretDSN)
	assert.EqualError(t, err, `driver: unknown driver "impa" (registered: none)`+hint)

	register(t, "tcp", plain{})
	register(t, "echo", plain{})
	_, err = driver.OpenConnector("impa", secretDSN)
	assert.EqualError(t, err, `driver: unknown driver "impa" (registered: echo, tcp)`+hint)
}

func TestADSNInPlaceOfTheNameIsNotShown(t *testing.T) {
	register(t, "tcp", plain{})
	for _, dsn := range []string{"tcp://:s3cret@host:1", "ada:s3cret@tcp(host)/db", "host=h password=s3cret"} {
		_, err := driver.OpenConnector(dsn, "tcp")
		assert.EqualError(t, err, "driver: the name of the driver looks like a DSN (registered: tcp); the name comes first, then the DSN")
	}
}

func TestOpenConnectorDoesNotDial(t *testing.T) {
	var opened []string
	d := plain{&opened}
	register(t, "plain", d)
	c, err := driver.OpenConnector("plain", secretDSN)
	require.NoError(t, err)
	assert.Empty(t, opened)

	_, err = c.Connect(t.Context())
	assert.ErrorIs(t, err, errOpen)
	assert.Equal(t, []string{secretDSN}, opened)
}

func TestConnectorsHideTheirDSN(t *testing.T) {
	register(t, "plain", plain{})
	opened, err := driver.OpenConnector("plain", secretDSN)
	require.NoError(t, err)
	holder := struct{ connector driver.Connector }{opened} // fmt calls no methods on its field
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb+verb, opened, holder)
		assert.NotContains(t, text, "p4ssw0rd", verb)
		assert.NotContains(t, text, fmt.Sprintf("%x", "p4ssw0rd"), verb)
	}
}

// failing is a connector that can't connect.
type failing struct{}

func (failing) Connect(context.Context) (driver.Conn, error) { return nil, errOpen }

func TestRegisterFuncMakesADriverOfAFunction(t *testing.T) {
	errDSN := errors.New("function: no host")
	driver.RegisterFunc("function", func(dsn string) (driver.Connector, error) {
		if dsn == "" {
			return nil, errDSN
		}
		return failing{}, nil
	})
	d := registry.Replace("function", nil).(driver.Driver)
	register(t, "function", d)

	c, err := driver.OpenConnector("function", "h")
	assert.NoError(t, err)
	assert.Equal(t, failing{}, c)
	_, err = driver.OpenConnector("function", "")
	assert.Equal(t, errDSN, err)

	_, err = d.Open("h")
	assert.Equal(t, errOpen, err, "Open connects")
	_, err = d.Open("")
	assert.Equal(t, errDSN, err)

	assert.PanicsWithValue(t, `driver: RegisterFunc("nothing") with a nil function`, func() { driver.RegisterFunc("nothing", nil) })
}

func TestOpenConnectorPrefersDriverContext(t *testing.T) {
	errDSN := errors.New("parsing: no host")
	connector := failing{}
	var given string
	register(t, "parsing", parsing{open: func(dsn string) (driver.Connector, error) {
		given = dsn
		return connector, nil
	}})
	register(t, "refusing", parsing{open: func(string) (driver.Connector, error) { return nil, errDSN }})
	register(t, "empty", parsing{open: func(string) (driver.Connector, error) { return nil, nil }})

	c, err := driver.OpenConnector("parsing", secretDSN)
	assert.NoError(t, err)
	assert.Equal(t, connector, c)
	assert.Equal(t, secretDSN, given)

	_, err = driver.OpenConnector("refusing", secretDSN)
	assert.Equal(t, errDSN, err)

	_, err = driver.OpenConnector("empty", secretDSN)
	assert.EqualError(t, err, `driver: "empty" returned neither a connector nor an error`)
}

func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("concurrent-", i)
			driver.Register(name, plain{})
			assert.True(t, slices.Contains(driver.Drivers(), name))
			_, err := driver.OpenConnector(name, "")
			assert.NoError(t, err)
			registry.Replace(name, nil)
		})
	}
	wg.Wait()
	assert.Empty(t, driver.Drivers())
}
