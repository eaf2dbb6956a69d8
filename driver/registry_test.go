package driver_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
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

// parsing is a driver that returns what open says.
type parsing struct {
	plain
	open func(dsn string) (driver.Connector, error)
}

func (p parsing) OpenConnector(dsn string) (driver.Connector, error) { return p.open(dsn) }

// register makes d available until the test ends.
func register(t *testing.T, name string, d driver.Driver) {
	driver.Register(name, d)
	t.Cleanup(func() { driver.Replace(name, nil) })
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
			register(t, "after a panic", plain{}) // the registry is not locked
		})
	}
}

func TestDriversAreSorted(t *testing.T) {
	for _, name := range []string{"b", "c", "a"} {
		register(t, name, plain{})
	}
	assert.Equal(t, []string{"a", "b", "c"}, driver.Drivers())
}

func TestUnknownNameListsWhatIsRegistered(t *testing.T) {
	_, err := driver.OpenConnector("impa", secretDSN)
	assert.EqualError(t, err, `driver: unknown driver "impa" (registered: none); import the package that registers it`)

	register(t, "tcp", plain{})
	register(t, "echo", plain{})
	_, err = driver.OpenConnector("impa", secretDSN)
	assert.EqualError(t, err, `driver: unknown driver "impa" (registered: echo, tcp); import the package that registers it`)
}

func TestUnknownNameOfOursHintsAtTheImport(t *testing.T) {
	for name, pkg := range map[string]string{"tcp": "tcp", "unix": "tcp", "tls": "tls", "imap": "imap", "imaps": "imap"} {
		_, err := driver.OpenConnector(name, secretDSN)
		assert.ErrorContains(t, err, fmt.Sprintf(`forgotten import _ "github.com/hotline-go/hotline/drivers/%s"?`, pkg))
		assert.NotContains(t, err.Error(), "p4ssw0rd")
	}
}

func TestOpenConnectorDoesNotDial(t *testing.T) {
	var opened []string
	d := plain{&opened}
	register(t, "plain", d)
	c, err := driver.OpenConnector("plain", secretDSN)
	require.NoError(t, err)
	assert.Equal(t, d, c.Driver())
	assert.Empty(t, opened)

	_, err = c.Connect(t.Context())
	assert.ErrorIs(t, err, errOpen)
	assert.Equal(t, []string{secretDSN}, opened)
}

func TestConnectorsHideTheirDSN(t *testing.T) {
	register(t, "plain", plain{})
	opened, err := driver.OpenConnector("plain", secretDSN)
	require.NoError(t, err)
	for name, c := range map[string]driver.Connector{
		"plain": opened,
		"SQL":   driver.SQL(sqlConnector{dsn: secretDSN}),
	} {
		holder := struct{ connector driver.Connector }{c} // fmt calls no methods on its field
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb+verb, c, holder)
			assert.NotContains(t, text, "p4ssw0rd", name+verb)
			assert.NotContains(t, text, fmt.Sprintf("%x", "p4ssw0rd"), name+verb)
		}
	}
}

func TestOpenConnectorPrefersDriverContext(t *testing.T) {
	errDSN := errors.New("parsing: no host")
	connector := driver.SQL(sqlConnector{})
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

func TestReplaceReturnsWhatWasThere(t *testing.T) {
	first, second := plain{}, plain{new([]string)}
	assert.Nil(t, driver.Replace("replaced", first))
	t.Cleanup(func() { driver.Replace("replaced", nil) })
	assert.Equal(t, first, driver.Replace("replaced", second))
	assert.Equal(t, second, driver.Replace("replaced", nil))
	assert.NotContains(t, driver.Drivers(), "replaced")
	assert.Nil(t, driver.Replace("replaced", nil))
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
			driver.Replace(name, nil)
		})
	}
	wg.Wait()
	assert.Empty(t, driver.Drivers())
}
