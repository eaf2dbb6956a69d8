package imap_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/retry"
)

// Accounts are mail accounts that share one limit on connections.
type Accounts struct {
	*keyed.Pool[string, *imap.Conn]
}

// mailAccount is one account, as a Doer for imap.Watch.
type mailAccount struct {
	accounts Accounts
	user     string
}

func (a mailAccount) Do(ctx context.Context, fn func(context.Context, *imap.Conn) error) error {
	return a.accounts.Do(ctx, a.user, fn)
}

// Count returns the number of messages in the inbox of user.
func (a Accounts) Count(ctx context.Context, user string) (uint32, error) {
	return retry.Value(ctx, again, func(ctx context.Context) (n uint32, err error) {
		err = a.Do(ctx, user, func(ctx context.Context, c *imap.Conn) error {
			defer c.Bind(ctx)()
			status, err := c.Status("INBOX", &goimap.StatusOptions{NumMessages: true}).Wait()
			if err == nil {
				n = *status.NumMessages
			}
			return err
		})
		return n, err
	})
}

// Three accounts, each with one connection that always watches, share one more for
// everything else. Errors and logs show a number instead of the account's name.
func Example_accounts() {
	dsns := map[string]string{}
	users := []string{"ada", "bob", "eve"}
	var servers []*testserver.IMAP
	for _, user := range users {
		mail := testserver.NewIMAP(user, "secret")
		server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", mail.Serve)
		if err != nil {
			log.Fatal(err)
		}
		defer server.Close()
		servers = append(servers, mail)
		dsns[user] = "imap://" + user + ":secret@" + server.Addr() + "?tls=none"
	}

	open := func(user string) (driver.Connector, error) { return driver.OpenConnector("imap", dsns[user]) }
	p, err := keyed.Open[string, *imap.Conn](open, keyed.Config[string]{
		MaxOpen: 4,
		PerKey:  func(string) pool.Config { return pool.Config{MaxOpen: 2, AcquireTimeout: -1} },
		Name:    func(user string) string { return fmt.Sprint("account-", slices.Index(users, user)) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	accounts := Accounts{p}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var watched, all sync.WaitGroup
	for i, user := range users {
		watched.Add(1)
		first := true
		all.Go(func() {
			imap.Watch(ctx, mailAccount{accounts, user}, "INBOX", func(ctx context.Context, _ *imap.Conn, _ []imap.Update) error {
				if first {
					first = false
					defer watched.Done()
					return servers[i].Append("INBOX", "Subject: Hello\r\n\r\nHello.\r\n") // mail arrives
				}
				return nil
			})
		})
	}
	watched.Wait()
	for _, user := range users {
		n, err := accounts.Count(ctx, user)
		fmt.Println(user, n, err)
	}
	fmt.Println("at most 4 connections:", p.Stats().Open <= 4)
	cancel()
	all.Wait()
	// Output:
	// ada 1 <nil>
	// bob 1 <nil>
	// eve 1 <nil>
	// at most 4 connections: true
}
