package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/dsn"
	"github.com/hotline-go/hotline/pool"
)

// target is what a DSN names.
type target struct {
	scheme    string // and name of the driver
	dsn       string // whole, with its secrets
	connector driver.Connector
	name      string // for people; no secrets
}

// pinger is a connection that can make a round trip.
type pinger interface {
	driver.Conn
	driver.Pinger
}

// openTarget finds the driver for text, and what is wrong with text. It does
// not dial.
func openTarget(text string) (*target, error) {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return nil, usageError{errors.New("the DSN has no scheme; want one as in tcp://127.0.0.1:2485")}
	}
	scheme = strings.ToLower(scheme)
	if known := driver.Drivers(); !slices.Contains(known, scheme) {
		return nil, usageError{fmt.Errorf("no driver for %.20q; there are %s", scheme, strings.Join(known, ", "))}
	}
	var settings pool.Config
	rest, err := settings.CutDSN(text)
	if err != nil {
		return nil, usageError{err}
	}
	connector, err := driver.OpenConnector(scheme, rest)
	if err != nil {
		return nil, usageError{err}
	}
	checked, err := pool.New[pinger](unconnected{connector}, settings)
	if err != nil {
		return nil, usageError{err}
	}
	_ = checked.Close()
	t := &target{scheme: scheme, dsn: text, connector: connector, name: scheme}
	if name := adviceOf(connector).Name; name != "" {
		t.name = name
	}
	return t, nil
}

// unconnected is a connector whose pool can be checked without connecting.
type unconnected struct{ driver.Connector }

func (unconnected) Connect(context.Context) (driver.Conn, error) {
	return nil, errors.New("not meant to connect")
}

func (u unconnected) Advice() driver.Advice { return adviceOf(u.Connector) }

// adviceOf returns what c recommends to a pool, if anything.
func adviceOf(c driver.Connector) driver.Advice {
	if a, ok := c.(driver.Advisor); ok {
		return a.Advice()
	}
	return driver.Advice{}
}

// looksOnly reports whether a Ping of the target looks at the socket and asks
// the peer nothing, so that its time means nothing.
func (t *target) looksOnly() bool {
	u, err := dsn.Parse(t.dsn)
	return err == nil && u.Params["ping"] == "" && slices.Contains([]string{"tcp", "unix", "tls"}, u.Scheme)
}

// connect opens one connection.
func (t *target) connect(ctx context.Context, timeout time.Duration) (pinger, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := t.connector.Connect(ctx)
	if err != nil {
		return nil, explain(ctx, err, timeout)
	}
	p, ok := c.(pinger)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("connections of the driver %s can't ping", t.scheme)
	}
	return p, nil
}

// roundTrip pings c once and returns the time that took.
func roundTrip(ctx context.Context, c pinger, timeout time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	if err := c.Ping(ctx); err != nil {
		return 0, explain(ctx, err, timeout)
	}
	return time.Since(began), nil
}

// explain adds to err that it was the time limit that made it.
func explain(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w (after --timeout %v)", err, timeout)
	}
	return err
}
