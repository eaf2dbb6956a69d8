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

// Mailbox is what the service below wants of a connection.
type Mailbox interface {
	Unread() (int, error)
}

// Inbox is the service under test. It knows nothing of the test: it opens its
// pool by name and DSN, as ever.
type Inbox struct{ pool *pool.Pool[Mailbox] }

func NewInbox(dsn string) (*Inbox, error) {
	p, err := pool.Open[Mailbox]("imap", dsn, pool.Config{MaxOpen: 4, FailFast: true})
	return &Inbox{p}, err
}

func (i *Inbox) Summary(ctx context.Context) (string, error) {
	n, err := pool.Call(ctx, i.pool, func(_ context.Context, m Mailbox) (int, error) { return m.Unread() })
	if err != nil {
		return "", fmt.Errorf("inbox: %w", err)
	}
	return fmt.Sprintf("%d unread", n), nil
}

func (i *Inbox) Close() { i.pool.Close() }

// fakeMailbox is a connection of the fake that is a Mailbox.
type fakeMailbox struct {
	*drivertest.FakeConn
	unread int
}

func (m fakeMailbox) Unread() (int, error) { return m.unread, m.Use() }

var errFire = errors.New("mail.example is on fire")

func ExampleSwap() {
	runTest(func(t testing.TB) { // func TestInbox(t *testing.T) {
		fake := drivertest.NewFake(t)
		fake.Wrap = func(c *drivertest.FakeConn) driver.Conn { return fakeMailbox{c, 3} }
		drivertest.Swap(t, "imap", fake)

		inbox, err := NewInbox("imap://user:password@mail.example/INBOX")
		fmt.Println("open:", err)
		defer inbox.Close()
		fmt.Println(inbox.Summary(t.Context()))

		fake.KillAll() // the server restarts: the service does not notice
		fmt.Println(inbox.Summary(t.Context()))

		fake.Down(errFire)
		_, err = inbox.Summary(t.Context())
		fmt.Println(errors.Is(err, errFire))

		fmt.Println("connections:", fake.Counts().Connected)
	})
	// Output:
	// open: <nil>
	// 3 unread <nil>
	// 3 unread <nil>
	// true
	// connections: 2
}
