package imap_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
)

// startMail starts a server with one message and returns its address.
func startMail() (*testserver.IMAP, *testserver.Server) {
	mail := testserver.NewIMAP("ada", "secret")
	if err := mail.Append("INBOX", "Subject: First\r\n\r\nHello.\r\n"); err != nil {
		log.Fatal(err)
	}
	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", mail.Serve)
	if err != nil {
		log.Fatal(err)
	}
	return mail, server
}

// A pool of connections to one account. This server is on the same machine and has no
// TLS; a typical DSN is imaps://ada:secret@imap.example.org.
func Example() {
	_, server := startMail()
	defer server.Close()

	p, err := pool.Open[*imap.Conn]("imap", "imap://ada:secret@"+server.Addr()+"/INBOX?tls=none", pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err = p.Do(ctx, func(_ context.Context, c *imap.Conn) error {
		messages, err := c.Fetch(goimap.SeqSetNum(1), &goimap.FetchOptions{Envelope: true}).Collect()
		for _, m := range messages {
			fmt.Println(m.Envelope.Subject)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: First
}

// A token is fetched for each connect. If the server refuses it, the Credentials function
// gets the error.
func ExampleConfig() {
	_, server := startMail()
	defer server.Close()

	cfg, err := imap.ParseDSN("imap://" + server.Addr() + "?tls=none")
	if err != nil {
		log.Fatal(err)
	}
	cfg.Credentials = func(_ context.Context, refused error) (imap.Credentials, error) {
		fmt.Println("refused before:", refused != nil)
		return imap.Credentials{User: "ada", Password: "secret"}, nil
	}
	connector, err := imap.NewConnector(cfg)
	if err != nil {
		log.Fatal(err)
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println("logged in by", c.(*imap.Conn).Mechanism())
	// Output:
	// refused before: false
	// logged in by PLAIN
}

// Watch reads a mailbox, and reads it again whenever something has changed.
func ExampleWatch() {
	mail, server := startMail()
	defer server.Close()
	p, err := pool.Open[*imap.Conn]("imap", "imap://ada:secret@"+server.Addr()+"?tls=none", pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	enough := errors.New("enough")
	seen := goimap.UID(0)
	err = imap.Watch(context.Background(), p, "INBOX", func(_ context.Context, c *imap.Conn, _ []imap.Update) error {
		unseen := goimap.UIDSet{{Start: seen + 1, Stop: 0}}
		messages, err := c.Fetch(unseen, &goimap.FetchOptions{UID: true, Envelope: true}).Collect()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.UID > seen { // * always matches the last message
				fmt.Println(m.Envelope.Subject)
				seen = m.UID
			}
		}
		if seen >= 2 {
			return enough
		}
		return mail.Append("INBOX", "Subject: Second\r\n\r\nHello again.\r\n") // mail arrives
	})
	fmt.Println(errors.Is(err, enough))
	// Output:
	// First
	// Second
	// true
}
