package drivertest_test

import (
	"bufio"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// depotAt returns a connector for a depot server on loopback that handles its
// connections with handle.
func depotAt(t *testing.T, userinfo string, handle func(net.Conn)) driver.Connector {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	drivertest.Serve(t, ln, drivertest.Each(handle))
	connector, err := driver.OpenConnector("depot", "depot://"+userinfo+"@"+ln.Addr().String())
	require.NoError(t, err)
	return connector
}

func TestExampleDriverPassesEveryRule(t *testing.T) {
	for _, name := range drivertest.RuleNames() {
		r := record(t, func(t testing.TB) { drivertest.RunRule(t, name, depotSubject) })
		assert.Empty(t, r.errors, name)
		assert.Empty(t, r.skipped, name)
	}
}

func TestExampleDriverTakesARefusedLoginForPermanent(t *testing.T) {
	c, err := depotAt(t, "ada:guess", serveDepot).Connect(t.Context())
	assert.Nil(t, c)
	assert.True(t, driver.IsPermanent(err), err)
	assert.NotContains(t, err.Error(), "guess")
}

func TestExampleDriverRefusesAWrongDSN(t *testing.T) {
	for _, dsn := range []string{
		"depot://ada:s3cret@host", "depot://host:1", "depo://ada:s3cret@host:1", "depot://ada:s3cret@host:port",
		"depot://ada:s3cret%@host:1", "depot://a%20da:s3cret@host:1", "depot://ada:s3cret%0A@host:1",
	} {
		_, err := driver.OpenConnector("depot", dsn)
		require.Error(t, err, dsn)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

// An extra line in the same packet as the answer must not answer the next request.
func TestExampleDriverNoticesASurplusAnswer(t *testing.T) {
	_, err := depotAt(t, "ada:secret", saying("OK\nsurplus\n")).Connect(t.Context())
	assert.ErrorIs(t, err, conn.ErrUnread)

	connect := func(answers ...string) *Depot {
		c, err := depotAt(t, "ada:secret", saying(answers...)).Connect(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c.(*Depot)
	}
	c := connect("OK\n", "PONG\nsurplus\n")
	assert.ErrorIs(t, c.Ping(t.Context()), conn.ErrUnread)

	c = connect("OK\n", "3\nsurplus\n")
	assert.True(t, c.IsValid())
	n, err := c.Count("bolts")
	assert.NoError(t, err)
	assert.Equal(t, 3, n)
	assert.False(t, c.IsValid())

	c = connect("OK\n", "OK\n", "OK\nsurplus\n")
	require.NoError(t, c.Select("north"))
	assert.ErrorIs(t, c.ResetSession(t.Context()), conn.ErrUnread)
}

// saying serves a connection: each request gets the next of answers.
func saying(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		for lines := bufio.NewScanner(c); lines.Scan() && len(answers) > 0; answers = answers[1:] {
			if _, err := io.WriteString(c, answers[0]); err != nil {
				return
			}
		}
	}
}

func TestExampleDriverSendsARequestOnOneLine(t *testing.T) {
	c, err := depotAt(t, "ada:p4ss%20w0rd", serveDepot).Connect(t.Context())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.(*Depot).Count("bolts\nSELECT north")
	assert.ErrorContains(t, err, "one line")
	assert.NoError(t, c.(*Depot).expect("", "SELECTED"))
}

// The program that ExampleSwap tests also runs with the real driver.
func TestShopRunsOnTheRealDriver(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	drivertest.Serve(t, ln, drivertest.Each(serveDepot))
	shop, err := NewShop("depot://ada:p4ss%20w0rd@" + ln.Addr().String())
	require.NoError(t, err)
	defer shop.Close()
	offer, err := shop.Offer(t.Context(), "bolts")
	require.NoError(t, err)
	assert.Equal(t, "3 bolts left", offer)
}
