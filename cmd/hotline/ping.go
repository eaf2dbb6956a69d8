package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hotline-go/hotline/drivers/imap"
)

// pingCommand is hotline ping.
type pingCommand struct {
	DSN     string        `arg:"" name:"DSN" help:"Server to connect to, such as 'tcp://127.0.0.1:2485?ping=PING%0A&pong=PONG%0A'"`
	Count   int           `short:"n" default:"5" help:"Number of round trips."`
	Timeout time.Duration `short:"t" default:"5s" help:"Time limit for the connect, and for each round trip."`
	JSON    bool          `name:"json" help:"Print JSON instead of text. Times are in nanoseconds."`
}

// Validate is called by kong.
func (c *pingCommand) Validate() error {
	if c.Count < 1 {
		return errors.New("--count: want at least 1")
	}
	return checkTimeout(c.Timeout)
}

func checkTimeout(d time.Duration) error {
	if d <= 0 {
		return errors.New("--timeout: want more than 0")
	}
	return nil
}

// Run connects and makes the round trips, one after the other on one connection, until
// one fails. Over TLS it then connects again, to see whether the server resumes
// sessions. It prints JSON even after a failure, with the results so far.
func (c *pingCommand) Run(ctx context.Context, con console) (err error) {
	t, err := openTarget(c.DSN)
	if err != nil {
		return err
	}
	found := &jsonPing{Target: t.name}
	if c.JSON {
		encoder := json.NewEncoder(con.out)
		encoder.SetIndent("", "  ")
		con.out = io.Discard
		defer func() { err = errors.Join(err, encoder.Encode(found)) }()
	}
	conn, took, err := c.connect(ctx, con, t)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(con.out, "%s: connected in %s\n", t.name, short(took))
	describe(con.out, conn)
	found.add(conn, took)
	var times []time.Duration
	for range c.Count {
		took, err := roundTrip(ctx, conn, c.Timeout)
		if err != nil {
			c.report(con, t, times)
			return fmt.Errorf("round trip %d of %d: %w", len(times)+1, c.Count, err)
		}
		con.log.V(2).Info("pinged", "target", t.name, "took", took)
		times = append(times, took)
		if !t.checksSocketOnly() {
			found.RoundTrips = times
		}
	}
	c.report(con, t, times)
	if _, isTLS := stateOf(conn); isTLS {
		_ = conn.Close() // some servers allow one client at a time
		return c.reconnect(ctx, con, t, found)
	}
	return nil
}

// connect connects to t and returns how long that took.
func (c *pingCommand) connect(ctx context.Context, con console, t *target) (pinger, time.Duration, error) {
	began := time.Now()
	conn, err := t.connect(ctx, c.Timeout)
	took := time.Since(began)
	if err == nil { // the command reports an error at its end
		con.log.V(1).Info("connected", "target", t.name, "took", took)
	}
	return conn, took, err
}

// describe prints what is known about conn and its server.
func describe(w io.Writer, conn pinger) {
	if state, ok := stateOf(conn); ok {
		describeTLS(w, state)
	}
	if mail, ok := conn.(*imap.Conn); ok {
		describeMail(w, mail)
	}
}

func (c *pingCommand) report(con console, t *target, times []time.Duration) {
	switch {
	case len(times) == 0:
	case t.checksSocketOnly():
		fmt.Fprintln(con.out, "the socket is open; for round trips, add ping= and pong= to the DSN")
	default:
		lowest, highest, sum := times[0], times[0], time.Duration(0)
		for _, d := range times {
			lowest, highest, sum = min(lowest, d), max(highest, d), sum+d
		}
		fmt.Fprintf(con.out, "%s: min %s, avg %s, max %s\n",
			count(len(times), "round trip"), short(lowest), short(sum/time.Duration(len(times))), short(highest))
	}
}
