package imap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// Doer is what lends connections: a pool of *Conn.
type Doer interface {
	Do(ctx context.Context, fn func(ctx context.Context, c *Conn) error) error
}

// Times of Watch.
const (
	// idleTime is how long an IDLE lasts. Routers forget silent connections
	// after 5 minutes, and the end of one is found when an IDLE ends.
	idleTime = keepAlive
	// lookTime is how often is looked whether the server has ended an IDLE. A
	// server that ends it at once is not asked for another one sooner.
	lookTime = 30 * time.Second
	// pollTime is for servers without IDLE.
	pollTime = time.Minute
	// watchBackoff is the pause after a failure, which doubles up to
	// maxWatchBackoff.
	watchBackoff    = time.Second
	maxWatchBackoff = time.Minute
)

// Watch calls fn when mailbox has changed, and once at the beginning. It blocks
// until ctx ends or fn or the mailbox fails, and returns the reason, which is
// never nil.
//
// fn has the connection with the mailbox selected, and may do what it likes
// there, as long as it leaves it selected. news is what the server has told.
// It is empty at the beginning, and after a break, when fn had better look at
// everything. While fn runs nothing is missed: it is called again.
//
// Between the calls the server tells at once what changes (IDLE). One that
// can't, or refuses to, is asked every minute, and one that ends its IDLE is
// asked half a minute later at most. A lost connection is replaced by another
// one of p, after a second or more, or what the server asked for, and so is one
// whose credentials expire, within 4 minutes. That goes for what fn returns
// because of a connection as well, its own or another one that it wanted
// (driver.IsBad, driver.SafeToRetry, driver.Throttled), or of an answer that may
// be another soon (INUSE, UNAVAILABLE, SERVERBUG); the pauses grow until fn
// succeeds. Any other error of fn ends Watch, as does one that is
// driver.Permanent: mark what must end it.
//
// A peer that vanishes without a word is found within 5 minutes.
//
// Watch holds one connection of p all the time, of those that p may have open.
// A p with no more than those that are watched on has none for anybody else.
// It binds the connection to ctx, see [Conn.Bind], whether p does so or not.
func Watch(ctx context.Context, p Doer, mailbox string, fn func(ctx context.Context, c *Conn, news []Update) error) error {
	backoff := watchBackoff
	var last error
	for {
		err := p.Do(ctx, func(ctx context.Context, c *Conn) error {
			w := &watch{c: c, mailbox: mailbox, fn: fn, works: func() { backoff, last = watchBackoff, nil }}
			return w.run(ctx)
		})
		switch {
		case ctx.Err() != nil && last != nil:
			return fmt.Errorf("imap: watch %q: %w (before: %v)", mailbox, context.Cause(ctx), last)
		case ctx.Err() != nil:
			return fmt.Errorf("imap: watch %q: %w", mailbox, context.Cause(ctx))
		case err == nil:
			return errors.New("imap: watch: Do has not called its function")
		case !again(err):
			return err
		}
		last = err
		wait := backoff + rand.N(backoff/2)
		if asked, ok := driver.RetryAfter(err); ok {
			wait = max(wait, asked)
		}
		backoff = min(2*backoff, maxWatchBackoff)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// again reports whether another connection may do better.
func again(err error) bool {
	var own *watchError
	if driver.IsPermanent(err) {
		return false
	}
	if !errors.As(err, &own) { // p had none
		return true
	}
	var answer *imap.Error
	return aboutConnection(err) || errors.As(err, &answer) && slices.Contains(notNow, answer.Code)
}

// aboutConnection reports whether err, or one of those that it wraps, is about
// a connection. Who has tried several times tells of all attempts together, of
// which the last may have been the one without a connection.
func aboutConnection(err error) bool {
	if _, throttled := driver.RetryAfter(err); throttled || driver.IsBad(err) || driver.SafeToRetry(err) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return aboutConnection(e.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), aboutConnection)
	}
	return false
}

// watchError is an error that comes from inside of Do.
type watchError struct{ error }

func (e *watchError) Unwrap() error { return e.error }

// watch is a Watch on one connection.
type watch struct {
	c       *Conn
	mailbox string
	fn      func(ctx context.Context, c *Conn, news []Update) error
	works   func() // is called when fn has succeeded
	updates <-chan Update
	polls   bool // the server has no IDLE, or does not want it

	// number is how many messages the server has told of last, or nil if there
	// may be others by now; renumbered is what number does not know of.
	number     *uint32
	renumbered int64
}

// run watches until an error, which it returns as a *watchError.
func (w *watch) run(ctx context.Context) error {
	defer w.c.Bind(ctx)() // not every Doer does
	err := w.begin()
	var news []Update
	for err == nil {
		if err = w.fn(ctx, w.c, news); err == nil {
			w.works()
			news, err = w.await(ctx)
		}
	}
	return &watchError{err}
}

// begin selects the mailbox.
func (w *watch) begin() error {
	w.updates = w.c.Updates()
	w.polls = !w.c.Caps().Has(imap.CapIdle)
	return w.bounded(func() error {
		selected, err := w.c.Select(w.mailbox, &imap.SelectOptions{ReadOnly: w.c.home.readOnly}).Wait()
		if err == nil {
			w.number, w.renumbered = &selected.NumMessages, w.c.subscribed().renumbered.Load()
		}
		return noSuchMailbox(w.mailbox, err)
	})
}

// await blocks until there is news, and returns all there is. It asks for what
// came while fn ran, because not every server tells that to an IDLE.
func (w *watch) await(ctx context.Context) (news []Update, err error) {
	err = w.ask()
	news = w.pendingAfterFn()
	for err == nil && len(news) == 0 {
		if w.polls {
			news = w.wait(ctx, pollTime)
		} else {
			news, err = w.idle(ctx)
		}
		if err == nil && len(news) == 0 {
			err = w.ask()
		}
		news = append(news, w.pending()...)
	}
	return news, err
}

// ask lets the server tell what is new. It fails if the credentials have
// expired, for another connection has fresh ones.
func (w *watch) ask() error {
	if err := w.c.usable(); err != nil {
		return badConn(err)
	}
	return w.bounded(func() error { return w.c.Noop().Wait() })
}

// idle waits in an IDLE. If the server does not want that, it waits no longer,
// and the next time without.
func (w *watch) idle(ctx context.Context) (news []Update, err error) {
	var idle *IdleCommand
	err = w.bounded(func() (err error) { idle, err = w.c.Idle(); return err })
	if err != nil {
		w.polls = !driver.IsBad(err) && !isThrottled(err)
		if w.polls {
			return nil, nil
		}
		return nil, err
	}
	for range idleTime / lookTime {
		if news = w.wait(ctx, lookTime); len(news) > 0 || idle.endedByServer() {
			break
		}
	}
	return news, w.bounded(func() error {
		if err := idle.Close(); err != nil {
			return err
		}
		return idle.Wait()
	})
}

// wait waits for the first news, for d at most.
func (w *watch) wait(ctx context.Context, d time.Duration) []Update {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case u := <-w.updates:
			if !w.repeats(u) {
				return []Update{u}
			}
			continue
		case <-timer.C:
		case <-w.c.client.Closed():
		case <-ctx.Done():
		}
		return nil
	}
}

// pending returns the news that is there.
func (w *watch) pending() (all []Update) {
	for {
		select {
		case u := <-w.updates:
			if !w.repeats(u) {
				all = append(all, u)
			}
		default:
			return all
		}
	}
}

// pendingAfterFn is pending where fn may have removed messages. Who knows
// whether that was before or after the number that the server has told?
func (w *watch) pendingAfterFn() (all []Update) {
	renumbered := w.c.subscribed().renumbered.Load()
	if renumbered == w.renumbered {
		return w.pending()
	}
	w.number, w.renumbered = nil, renumbered
	all = w.pending()
	w.number = nil
	return all
}

// repeats reports whether u is no news: some servers tell the number of messages
// with each answer.
func (w *watch) repeats(u Update) bool {
	before := w.number
	w.number = u.NumMessages
	return u.NumMessages != nil && before != nil && *before == *u.NumMessages && u.Lost == 0
}

// bounded runs f, which asks the server something that takes no time. A server
// that does not answer loses the connection.
func (w *watch) bounded(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	defer w.c.Bind(ctx)()
	return f()
}
