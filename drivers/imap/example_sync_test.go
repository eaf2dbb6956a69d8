package imap_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/retry"
)

// Syncer copies new mail from a mailbox.
type Syncer struct {
	Pool    *pool.Pool[*imap.Conn]
	Mailbox string
	Save    func(validity uint32, uid goimap.UID, mail []byte) error // called from many goroutines; called again for a mail after a failure

	validity uint32     // of the UIDs; store it and next, or each start copies everything
	next     goimap.UID // all lower ones are saved
}

// Run copies until ctx ends, Save fails, or the server refuses permanently.
func (s *Syncer) Run(ctx context.Context) error {
	return imap.Watch(ctx, s.Pool, s.Mailbox, s.look)
}

// look copies new mail. c is the connection of the watch.
func (s *Syncer) look(ctx context.Context, c *imap.Conn, _ []imap.Update) error {
	uids, err := s.search(ctx, c)
	if err != nil {
		return err
	}
	some := slices.Collect(slices.Chunk(uids, 20))
	errs := make([]error, len(some))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for i := range some {
		all.Go(func() { // they queue for connections of the pool
			if errs[i] = s.copy(ctx, some[i]); driver.IsPermanent(errs[i]) {
				stop(errs[i])
			}
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			return cmp.Or(context.Cause(ctx), err) // Watch calls again if that may help
		}
		s.next = some[i][len(some[i])-1] + 1
	}
	return nil
}

// search returns the UIDs that are not saved yet.
func (s *Syncer) search(ctx context.Context, c *imap.Conn) ([]goimap.UID, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	defer c.Bind(ctx)()
	selected, err := c.Select(s.Mailbox, nil).Wait()
	if err != nil {
		return nil, err
	}
	if selected.UIDValidity != s.validity { // the server has renumbered the mail
		s.validity, s.next = selected.UIDValidity, 1
	}
	found, err := c.UIDSearch(&goimap.SearchCriteria{UID: []goimap.UIDSet{{{Start: s.next}}}}, nil).Wait()
	if err != nil {
		return nil, err
	}
	uids := slices.DeleteFunc(found.AllUIDs(), func(uid goimap.UID) bool { return uid < s.next })
	return slices.Sorted(slices.Values(uids)), nil
}

// again repeats reads on another connection, even after they were sent.
var again = retry.Policy{RetryIf: func(err error) bool { return driver.IsBad(err) || retry.Safe(err) }}

func (s *Syncer) copy(ctx context.Context, uids []goimap.UID) error {
	whole := &goimap.FetchItemBodySection{Peek: true}
	mails, err := retry.Value(ctx, again, func(ctx context.Context) ([]*imapclient.FetchMessageBuffer, error) {
		return pool.Call(ctx, s.Pool, func(ctx context.Context, c *imap.Conn) ([]*imapclient.FetchMessageBuffer, error) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
			defer cancel()
			defer c.Bind(ctx)() // a server may stop answering
			selected, err := c.Select(s.Mailbox, &goimap.SelectOptions{ReadOnly: true}).Wait()
			if err != nil || selected.UIDValidity != s.validity {
				return nil, cmp.Or(err, driver.ErrBadConn) // makes Watch call again
			}
			return c.Fetch(goimap.UIDSetNum(uids...), &goimap.FetchOptions{UID: true, BodySection: []*goimap.FetchItemBodySection{whole}}).Collect()
		})
	})
	for _, m := range mails {
		if err := s.Save(s.validity, m.UID, m.FindBodySection(whole)); err != nil {
			return driver.Permanent(err) // not the connection's fault: ends Watch
		}
	}
	return err
}

// A worker that copies a mailbox: one connection watches, the others fetch.
func Example_sync() {
	mail, server := startMail()
	defer server.Close()
	p, err := pool.Open[*imap.Conn]("imap", "imap://ada:secret@"+server.Addr()+"?tls=none", pool.Config{AcquireTimeout: -1})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx, cancel := context.WithCancel(context.Background())
	s := &Syncer{Pool: p, Mailbox: "INBOX", Save: func(_ uint32, uid goimap.UID, text []byte) error {
		fmt.Printf("%d: %.14q\n", uid, text)
		if uid == 2 {
			cancel()
			return nil
		}
		return mail.Append("INBOX", "Subject: Second\r\n\r\nHello again.\r\n") // mail arrives
	}}
	fmt.Println(errors.Is(s.Run(ctx), context.Canceled))
	// Output:
	// 1: "Subject: First"
	// 2: "Subject: Secon"
	// true
}
