package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/pool"
)

// target is the server in a DSN.
type target struct {
	scheme    string // also the name of the driver
	dsn       string // the whole DSN, with its secrets
	connector driver.Connector
	name      string // for output; no secrets
}

// pinger is a connection that can make a round trip.
type pinger interface {
	driver.Conn
	driver.Pinger
}

// openTarget opens a connector for the DSN text, and checks the form of its pool
// parameters. It does not dial.
func openTarget(text string) (*target, error) {
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return nil, usageError{errors.New("the DSN has no scheme; want a URL such as tcp://127.0.0.1:2485")}
	}
	scheme = strings.ToLower(scheme)
	if known := driver.Drivers(); !slices.Contains(known, scheme) {
		return nil, usageError{fmt.Errorf("no driver for %.20q; the drivers are %s", scheme, strings.Join(known, ", "))}
	}
	var settings pool.Config
	rest, err := settings.CutDSN(text)
	if err != nil {
		return nil, usageError{err}
	}
	connector, err := endpoints.Open(scheme, connectOnly(scheme, rest), logr.Discard())
	if err != nil {
		return nil, usageError{err}
	}
	t := &target{scheme: scheme, dsn: text, connector: connector, name: scheme}
	if a, ok := connector.(driver.Advisor); ok {
		t.name = cmp.Or(a.Advice().Name, scheme)
	}
	return t, nil
}

// socketDrivers are the drivers whose ping is set in the DSN.
var socketDrivers = []string{"tcp", "unix", "tls"}

// connectOnly turns off the ping that Connect makes, unless the DSN sets it: the commands
// make round trips themselves, and time a connect without one.
func connectOnly(scheme, text string) string {
	_, params, err := dsn.Cut(text, "")
	if err != nil || !slices.Contains(socketDrivers, scheme) {
		return text
	}
	if _, set := params["connect_ping"]; set {
		return text
	}
	separator := "?"
	if strings.Contains(text, "?") {
		separator = "&"
	}
	return text + separator + "connect_ping=false"
}

// checksSocketOnly reports whether a Ping of the target only checks the socket, so that
// its time means nothing.
func (t *target) checksSocketOnly() bool {
	_, params, err := dsn.Cut(t.dsn, "")
	return err == nil && params["ping"] == "" && slices.Contains(socketDrivers, t.scheme)
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

// explain adds the time limit to err if that caused it.
func explain(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w (after --timeout %v)", err, timeout)
	}
	return err
}
