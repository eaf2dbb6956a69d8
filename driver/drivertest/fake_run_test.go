package drivertest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// TestFakePassesTheSuite also shows a Server whose transport does not implement
// net.Conn.
func TestFakePassesTheSuite(t *testing.T) {
	drivertest.Run(t, func(testing.TB) drivertest.Subject {
		fake := &drivertest.Fake{Wrap: drivertest.Bound} // not NewFake: the suite closes twice
		return drivertest.Subject{
			Connector: fake,
			Server:    fakeServer{fake},
			Exchange:  func(c driver.Conn) error { return c.(*drivertest.BoundConn).Use() },
			Fill: func() func() {
				fake.Room(fake.Counts().Open, 0)
				return func() { fake.Room(-1, 0) }
			},
		}
	})
}

type fakeServer struct{ fake *drivertest.Fake }

func (s fakeServer) AwaitOpen(ctx context.Context, n int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if counts := s.fake.Counts(); counts.Connecting+counts.Open == n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s fakeServer) Silence() <-chan struct{} {
	received := make(chan struct{})
	var first sync.Once
	request := func(ctx context.Context, c *drivertest.FakeConn) error {
		first.Do(func() { close(received) })
		return drivertest.Hang(ctx, c)
	}
	s.fake.Always(drivertest.Connect, drivertest.Hang)
	s.fake.Always(drivertest.Ping, request)
	s.fake.Always(drivertest.Use, request)
	return received
}

func (s fakeServer) Hangup() { s.fake.KillAll() }
func (s fakeServer) Reset()  { s.fake.KillAll() }
func (s fakeServer) Refuse() {
	s.fake.Always(drivertest.Connect, drivertest.Fail(errors.New("refused")))
}
