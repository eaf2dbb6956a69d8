package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// Counter has the method that the shop below needs from a connection.
type Counter interface {
	Count(item string) (int, error)
}

var _ Counter = (*Depot)(nil) // the real connection is one too

// Shop is the program under test. It knows nothing about the test: it opens its
// pool by name and DSN, as usual.
type Shop struct{ pool *pool.Pool[Counter] }

func NewShop(dsn string) (*Shop, error) {
	p, err := pool.Open[Counter]("depot", dsn, pool.Config{MaxOpen: 4, FailFast: true})
	return &Shop{p}, err
}

func (s *Shop) Offer(ctx context.Context, item string) (string, error) {
	n, err := pool.Call(ctx, s.pool, func(_ context.Context, c Counter) (int, error) { return c.Count(item) })
	if err != nil {
		return "", fmt.Errorf("shop: %w", err)
	}
	return fmt.Sprintf("%d %s left", n, item), nil
}

func (s *Shop) Close() { s.pool.Close() }

// fakeDepot is a connection of the fake that is a Counter.
type fakeDepot struct {
	*drivertest.FakeConn
	count int
}

func (d fakeDepot) Count(string) (int, error) { return d.count, d.Use() }

var errFire = errors.New("the depot is on fire")

func ExampleSwap() {
	runTest(func(t testing.TB) { // func TestShop(t *testing.T) {
		fake := drivertest.NewFake(t)
		fake.Wrap = func(c *drivertest.FakeConn) driver.Conn { return fakeDepot{c, 3} }
		drivertest.Swap(t, "depot", fake)

		shop, err := NewShop("depot://ada:password@depot.example:2485")
		fmt.Println("open:", err)
		defer shop.Close()
		fmt.Println(shop.Offer(t.Context(), "bolts"))

		fake.KillAll() // the server restarts: the shop does not notice
		fmt.Println(shop.Offer(t.Context(), "bolts"))

		fake.Down(errFire)
		_, err = shop.Offer(t.Context(), "bolts")
		fmt.Println(errors.Is(err, errFire))

		fmt.Println("connections:", fake.Counts().Connected)
	})
	// Output:
	// open: <nil>
	// 3 bolts left <nil>
	// 3 bolts left <nil>
	// true
	// connections: 2
}
