package driver_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// echo is a complete driver. Its DSN is an address.
type echo struct{}

func (echo) Open(dsn string) (driver.Conn, error) { return net.Dial("tcp", dsn) }

func Example() {
	driver.Register("echo", echo{}) // usually in an init function

	_, err := driver.OpenConnector("echo", "127.0.0.1:7")
	fmt.Println(err)

	_, err = driver.OpenConnector("ehco", "127.0.0.1:7")
	fmt.Println(err)
	// Output:
	// <nil>
	// driver: unknown driver "ehco" (registered: echo); import the package that registers it, as in import _ "github.com/hotline-go/hotline/drivers/tcp"
}

func ExampleIsBad() {
	readFailed := fmt.Errorf("mail: read the answer: %w", io.ErrUnexpectedEOF)
	noSuchMailbox := errors.New("mail: no such mailbox")
	fmt.Println(driver.IsBad(readFailed), driver.IsBad(noSuchMailbox))
	// Output: true false
}

func ExampleThrottled() {
	err := driver.Throttled(errors.New("mail: too many logins"), 90*time.Second)
	if after, ok := driver.RetryAfter(fmt.Errorf("connect: %w", err)); ok {
		fmt.Println("pause for", after)
	}
	// Output: pause for 1m30s
}
