package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// Doer lends connections, as a pool of *Conn does. Do passes a connection to fn, and
// returns an error that wraps the error of fn. If it has no connection, it returns the
// reason.
type Doer interface {
	Do(ctx context.Context, fn func(ctx context.Context, c *Conn) error) error
}

// Times of Watch.
const (
	// idleTime is how long an IDLE lasts. Routers forget silent connections after
	// 5 minutes, and a dead connection is found when an IDLE ends.
	idleTime = keepAlive
	// checkTime is how often we check whether the server ended the IDLE. If the
	// server ends an IDLE at once, this is also how long we wait before the next
	// one.
	checkTime = 30 * time.Second
	// pollTime is the interval for servers without IDLE.
	pollTime = time.Minute
	// noIdleTime is how long Watch polls after the server has refused IDLE, or after
	// maxBroken connections were lost in one. Another try may cost a login.
	noIdleTime = time.Hour
	maxBroken  = 3
	// watchBackoff is the pause after a failure. It doubles up to maxWatchBackoff.
	watchBackoff    = time.Second
	maxWatchBackoff = time.Minute
)

// Watch calls fn once at the beginning, and then whenever mailbox has changed. It
// blocks until ctx ends, or fn or the mailbox fails, and returns the reason, which is
// never nil.
//
// fn gets the connection with the mailbox selected. It may use any commands, but must
// leave the mailbox selected. news holds the changes that the server has reported. It
// is empty on the first call and after a lost connection; fn should then check
// everything. Changes while fn runs are not missed: Watch calls it again.
//
// Between the calls, the server reports changes at once (IDLE). If the server does not
// support IDLE, Watch polls every minute. If the server refuses IDLE, or if three
// connections in a row are lost in one or get no answer to it, Watch polls every minute
// for an hour, and then tries IDLE again. If the server ends an IDLE on its own, Watch
// polls within half a minute.
//
// Watch replaces a lost connection with another one from p. Before that it pauses for
// at least a second, or for as long as the server asked. The pauses grow up to a minute
// and a half, until a wait for news succeeds or a connection has lived for 4 minutes.
// Watch also replaces a connection within 4 minutes of the expiry of its credentials.
//
// Watch continues in the same way if fn returns an error about a connection, its own or
// another one (driver.IsBad, driver.SafeToRetry, driver.Throttled), or an answer that
// may soon change (INUSE, UNAVAILABLE, SERVERBUG). Any other error of fn ends Watch. To
// end it with any error, mark the error driver.Permanent. Watch also ends if the server
// refuses twice in a row to select the mailbox.
//
// If the peer vanishes silently, Watch notices within 5 minutes.
//
// Watch always holds one connection of p. If every connection of p is used by a Watch,
// other callers wait forever. Watch binds the connection to ctx (see [Conn.Bind]), even
// if p does not.
func Watch(ctx context.Context, p Doer, mailbox string, fn func(ctx context.Context, c *Conn, news []Update) error) error {
	s := &series{backoff: watchBackoff}
	for {
		err := p.Do(ctx, func(ctx context.Context, c *Conn) error {
			w := &watch{c: c, mailbox: mailbox, fn: fn, series: s}
			return w.run(ctx)
		})
		switch {
		case ctx.Err() != nil && s.last != nil:
			return fmt.Errorf("imap: watch %q: %w (before: %v)", mailbox, context.Cause(ctx), s.last)
		case ctx.Err() != nil:
			return fmt.Errorf("imap: watch %q: %w", mailbox, context.Cause(ctx))
		case err == nil:
			return errors.New("imap: watch: Do did not call its function")
		case !mayReconnect(err):
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.pause(err)):
		}
	}
}

// mayReconnect reports whether another connection may succeed after err.
func mayReconnect(err error) bool {
	var own *watchError
	if driver.IsPermanent(err) {
		return false
	}
	if !errors.As(err, &own) { // p had no connection
		return true
	}
	var answer *imap.Error
	return aboutConnection(err) || errors.As(err, &answer) && slices.Contains(temporaryCodes, answer.Code)
}

// aboutConnection reports whether err, or an error that it wraps, is about
// a connection. An error may join several attempts, of which perhaps only the last had
// no connection.
func aboutConnection(err error) bool {
	if _, throttled := driver.RetryAfter(err); throttled || isLoss(err) || driver.SafeToRetry(err) {
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

// isLoss reports whether err means that a connection was lost before an answer came.
func isLoss(err error) bool {
	var lost *lostError
	return driver.IsBad(err) && !(errors.As(err, &lost) && lost.answered)
}

// watchError is an error from inside the function passed to Do.
type watchError struct{ error }

func (e *watchError) Unwrap() error { return e.error }

// watch is the part of a Watch on one connection.
type watch struct {
	c       *Conn
	mailbox string
	fn      func(ctx context.Context, c *Conn, news []Update) error
	series  *series
	updates <-chan Update

	// number is the number of messages that the server last reported, or nil if it
	// may be outdated. renumbered is updates.renumbered at that time.
	number     *uint32
	renumbered int64
}

// run watches until an error, which it returns as a *watchError.
func (w *watch) run(ctx context.Context) error {
	defer w.c.Bind(ctx)() // not every Doer does
	began := time.Now()
	err := w.begin()
	var news []Update
	for err == nil {
		if err = w.fn(ctx, w.c, news); err == nil {
			w.series.last = nil
			news, err = w.await(ctx)
		}
	}
	if time.Since(began) >= idleTime {
		w.series.backoff = watchBackoff
	}
	return &watchError{err}
}

// begin selects the mailbox.
func (w *watch) begin() error {
	w.updates = w.c.Updates()
	err := w.bounded(func() error {
		selected, err := w.c.Select(w.mailbox, &imap.SelectOptions{ReadOnly: w.c.home.readOnly}).Wait()
		if err == nil {
			w.number, w.renumbered = &selected.NumMessages, w.c.subscribed().renumbered.Load()
		}
		return err
	})
	before := w.series.refused
	w.series.refused = isNo(err)
	if !isNo(err) {
		return err
	}
	err = noSuchMailbox(w.mailbox, err)
	if before {
		return driver.Permanent(err)
	}
	return driver.Throttled(err, doubtPause) // the server may be starting
}

// await blocks until there is news, and returns all of it. It polls first, because some
// servers do not report in an IDLE the changes that happened while fn ran.
func (w *watch) await(ctx context.Context) (news []Update, err error) {
	err = w.poll()
	news = w.pendingAfterFn()
	for err == nil && len(news) == 0 {
		inIdle := w.c.Caps().Has(imap.CapIdle) && !time.Now().Before(w.series.idleFrom)
		if inIdle {
			news, err = w.idle(ctx)
		} else {
			news = w.wait(ctx, pollTime)
		}
		if err == nil && len(news) == 0 {
			err = w.poll()
		}
		if err == nil {
			w.series.waited(inIdle)
		}
		news = append(news, w.pending()...)
	}
	return news, err
}

// poll lets the server report news. It fails if the credentials have expired, because
// another connection will have fresh ones.
func (w *watch) poll() error {
	if err := w.c.usable(); err != nil {
		return badConn(err)
	}
	return w.bounded(func() error { return w.c.Noop().Wait() })
}

// idle waits in an IDLE. If the server refuses it, idle returns at once, and the Watch
// polls for noIdleTime.
func (w *watch) idle(ctx context.Context) (news []Update, err error) {
	defer func() {
		if driver.IsBad(err) && ctx.Err() == nil {
			w.series.brokeInIdle()
		}
	}()
	var idle *IdleCommand
	err = w.bounded(func() (err error) { idle, err = w.c.Idle(); return err })
	if err != nil {
		if driver.IsBad(err) || isThrottled(err) {
			return nil, err
		}
		w.series.leaveIdle()
		return nil, nil
	}
	for range idleTime / checkTime {
		if news = w.wait(ctx, checkTime); len(news) > 0 || idle.endedByServer() {
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

// wait waits for the first news, up to d.
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

// pending returns the news that has arrived.
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

// pendingAfterFn is pending for the first call after fn, which may have removed
// messages. Whether that was before or after the server last reported a number, we
// can't tell, so number is then unknown.
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

// repeats reports whether u only repeats the known number of messages, which some
// servers send with each answer.
func (w *watch) repeats(u Update) bool {
	before := w.number
	w.number = u.NumMessages
	return u.NumMessages != nil && before != nil && *before == *u.NumMessages && u.Lost == 0
}

// bounded runs f, a request that takes a server little time. If the server does not
// answer within pingTimeout, the connection is lost.
func (w *watch) bounded(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	defer w.c.Bind(ctx)()
	return f()
}
