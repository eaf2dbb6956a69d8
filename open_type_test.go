package hotline_test

import (
	"bufio"
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/pool"
)

// open opens a pool of C, and closes it.
func open[C any](name, dsn string) error {
	p, err := pool.Open[C](name, dsn, pool.Config{})
	if err != nil {
		return err
	}
	return p.Close()
}

func TestOpenRefusesATypeThatTheDriverDoesNotMake(t *testing.T) {
	const hint = ": open the pool for the type that the driver returns"
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"tcp":           {open[*imap.Conn]("tcp", "tcp://h:1"), "pool: the driver's connection is a *tcp.Conn, not a *imap.Conn" + hint},
		"unix":          {open[*net.UnixConn]("unix", "unix:///s"), "pool: the driver's connection is a *tcp.Conn, not a *net.UnixConn" + hint},
		"tls":           {open[*tcp.Conn]("tls", "tls://h:1"), "pool: the driver's connection is a *tls.Conn, not a *tcp.Conn" + hint},
		"imaps":         {open[net.Conn]("imaps", "imaps://u:p@h"), "pool: the driver's connection is a *imap.Conn, not a net.Conn: method LocalAddr is missing or has another type"},
		"several hosts": {open[*tls.Conn]("tcp", "tcp://a:1,b:1"), "pool: the driver's connection is a *tcp.Conn, not a *tls.Conn" + hint},
		"SRV records":   {open[*tls.Conn]("tcp", "tcp://a?hosts_srv=x"), "pool: the driver's connection is a *tcp.Conn, not a *tls.Conn" + hint},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, tc.err, tc.want)
			assert.True(t, driver.IsPermanent(tc.err))
		})
	}
}

func TestOpenTakesEachTypeThatTheDriverMakes(t *testing.T) {
	for name, err := range map[string]error{
		"concrete":      open[*tcp.Conn]("tcp", "tcp://h:1"),
		"net.Conn":      open[net.Conn]("tcp", "tcp://h:1"),
		"any":           open[any]("tcp", "tcp://h:1"),
		"tls":           open[*tls.Conn]("tls", "tls://h:1"),
		"imap":          open[*imap.Conn]("imaps", "imaps://u:p@h"),
		"several hosts": open[*tcp.Conn]("tcp", "tcp://a:1,b:1"),
	} {
		assert.NoError(t, err, name)
	}
}

func TestNewKnowsTheTypeOfAnAdaptedClient(t *testing.T) {
	connector, err := adapt.New(adapt.Client[*bufio.Reader]{
		Address: "h:1",
		Start:   func(_ context.Context, c net.Conn) (*bufio.Reader, error) { return bufio.NewReader(c), nil },
		Close:   func(*bufio.Reader) error { return nil },
	})
	require.NoError(t, err)
	_, err = pool.New[*bufio.Writer](connector, pool.Config{})
	require.ErrorContains(t, err, "pool: the driver's connection is a *bufio.Reader, not a *bufio.Writer")
	for _, open := range []func() error{
		func() error { _, err := pool.New[*bufio.Reader](connector, pool.Config{}); return err },
		func() error { _, err := pool.New[driver.Validator](connector, pool.Config{}); return err },
	} {
		assert.NoError(t, open())
	}
	_, err = pool.New[driver.Pinger](connector, pool.Config{})
	assert.ErrorContains(t, err, "method Ping is missing", "the client has no Ping")
}
