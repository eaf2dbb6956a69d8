// Program mailworker handles many mail accounts. Each line of its input names an account;
// the program prints the subjects of the unread mail there and marks it as read. It
// handles 100 accounts at a time, on at most 50 connections in total and 2 per account.
// ACCOUNTS is a file with a DSN for each account:
//
//	echo 'imaps://ada%40example.org:secret@mail.example.org/INBOX' >accounts
//	echo ada@example.org | ACCOUNTS=accounts go run ./mailworker
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
)

func main() {
	accounts, err := read(os.Getenv("ACCOUNTS"))
	if err != nil {
		log.Fatal(err)
	}
	mail, err := keyed.Open[string, *imap.Conn](accounts.connector, keyed.Config[string]{
		MaxOpen: 50,
		PerKey:  func(account string) pool.Config { return pool.Config{Name: account, MaxOpen: 2} },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer mail.Close()
	var working sync.WaitGroup
	places := make(chan struct{}, 100) // one for each account in progress
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		account := input.Text()
		places <- struct{}{}
		working.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := mail.Do(ctx, account, work(account)); err != nil {
				fmt.Println(err) // it names the account
			}
		})
	}
	working.Wait()
}

// accounts has the DSN of each account.
type accounts map[string]string

func read(file string) (accounts, error) {
	text, err := os.ReadFile(file)
	all := accounts{}
	for dsn := range strings.FieldsSeq(string(text)) {
		if u, err := url.Parse(dsn); err == nil {
			all[u.User.Username()] = dsn
		}
	}
	return all, err
}

// connector returns the connector of an account. It is called when the account is first
// used, and again if it was forgotten since.
func (a accounts) connector(account string) (driver.Connector, error) {
	dsn, ok := a[account]
	if !ok {
		return nil, fmt.Errorf("no account %q", account)
	}
	scheme, _, _ := strings.Cut(dsn, ":")
	return driver.OpenConnector(scheme, dsn)
}

// work prints the subjects of the unread mail, and marks it as read.
func work(account string) func(context.Context, *imap.Conn) error {
	return func(_ context.Context, c *imap.Conn) error {
		found, err := c.UIDSearch(&goimap.SearchCriteria{NotFlag: []goimap.Flag{goimap.FlagSeen}}, nil).Wait()
		if err != nil || len(found.AllUIDs()) == 0 {
			return err
		}
		unread := goimap.UIDSetNum(found.AllUIDs()...)
		messages, err := c.Fetch(unread, &goimap.FetchOptions{Envelope: true}).Collect()
		if err != nil {
			return err
		}
		for _, m := range messages {
			fmt.Printf("%s: %s\n", account, m.Envelope.Subject)
		}
		return c.Store(unread, &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Silent: true, Flags: []goimap.Flag{goimap.FlagSeen}}, nil).Close()
	}
}
