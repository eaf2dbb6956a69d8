package imap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// Conn is a logged-in connection. Its methods send IMAP commands; the package
// documentation says what they have in common. Use it from one goroutine at a time.
// Close may be called from any goroutine, at any time.
type Conn struct {
	client    *imapclient.Client
	conn      *conn.Conn
	address   string // for errors
	wire      *wire
	home      home
	mechanism string
	expiry    time.Time     // of the credentials; zero if unknown
	margin    time.Duration // how long before expiry the connection is unusable
	closing   sync.Once

	mu          sync.Mutex // guards the fields below; never held across I/O
	outstanding map[outstanding]struct{}
	updates     *updates
	selected    selection
	selects     int   // commands sent that change the selection
	answered    int   // number of the latest of them that was answered
	sentBefore  int64 // bytes sent before the lease

	receivedBefore int64 // bytes received before the lease
	answersBefore  int64 // wire.answers before the lease
}

// home is the state of a connection after Connect. ResetSession restores it.
type home struct {
	selection
	reset string // Config.Reset
}

var (
	_ driver.Pinger          = (*Conn)(nil)
	_ driver.SessionResetter = (*Conn)(nil)
	_ driver.Validator       = (*Conn)(nil)
	_ driver.Binder          = (*Conn)(nil)
	_ driver.Receiver        = (*Conn)(nil)
)

// newConn starts the client on nc.
func newConn(nc *conn.Conn, address, greeting string, home home, log logr.Logger) *Conn {
	c := &Conn{
		address:     address,
		conn:        nc,
		wire:        &wire{Conn: nc, trace: newTrace(log, nc), greeting: []byte(greeting)},
		home:        home,
		outstanding: map[outstanding]struct{}{},
	}
	c.client = imapclient.New(c.wire, &imapclient.Options{UnilateralDataHandler: c.handler()})
	c.wire.client.Store(c.client)
	return c
}

// track records that o was sent.
func (c *Conn) track(o outstanding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outstanding[o] = struct{}{}
}

// untrack records that the holder has finished o.
func (c *Conn) untrack(o outstanding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.outstanding, o)
}

// unfinished returns the commands that the holder has not finished.
func (c *Conn) unfinished() []outstanding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.outstanding))
}

// finish ends the commands that the holder has left open, and waits for that. It ends
// them concurrently, because one may be blocked until another is read.
func (c *Conn) finish() {
	var all sync.WaitGroup
	for _, o := range c.unfinished() {
		all.Go(o.finish) // ends when the command does, or the connection
	}
	all.Wait()
}

// Bind makes commands obey ctx: soon after ctx ends, commands in progress and all later
// ones fail with its error. IMAP can't cancel a command, so the connection is then
// unusable. unbind undoes this; if the cancellation has begun, it waits for it. It may
// be called again.
//
// A pool's Do binds the connection to the context of Do.
func (c *Conn) Bind(ctx context.Context) (unbind func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		c.conn.Bind(ctx) // ctx has ended, so all I/O fails from now on
		go c.finish()    // ends because I/O fails; it unblocks waits for something else
	})
	return func() {
		if stop() {
			close(done) // for a second call
		}
		<-done
	}
}

// Ping ends open commands, sends a NOOP and waits for the answer.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	defer c.Bind(ctx)()
	c.finish()
	return c.Noop().Wait()
}

// IsValid reports whether the connection may be pooled: it is open and logged in,
// the credentials have not expired, and no APPEND is incomplete. It does no I/O.
// ResetSession ends other commands that were left open.
func (c *Conn) IsValid() bool {
	return c.poolable() == nil
}

// poolable returns the reason why the connection must not be pooled, or nil.
func (c *Conn) poolable() error {
	for _, o := range c.unfinished() {
		if a, ok := o.(*AppendCommand); ok && a.incomplete() {
			return errors.New("an APPEND was left open")
		}
	}
	return c.usable()
}

// lost returns the reason why the connection is lost, or nil. A BYE from the server
// counts, even before the connection ends.
func (c *Conn) lost() error {
	if bye := c.wire.bye(); bye != nil {
		return bye
	}
	return c.conn.Err()
}

// usable returns the reason why the connection is unusable, or nil.
func (c *Conn) usable() error {
	if err := c.lost(); err != nil {
		return err
	}
	if !c.expiry.IsZero() && time.Until(c.expiry) <= c.margin {
		return fmt.Errorf("the credentials expire at %s", c.expiry.Format(time.RFC3339))
	}
	return nil
}

// expiryMargin is how long before its credentials expire a connection becomes unusable:
// the server might end it in the middle of a command. Token sources return the same
// token until seconds before it expires. So if half of the time left at connect is less
// than this, that is the margin; otherwise every request would need a new login.
const expiryMargin = time.Minute

// drainTime limits how long we read the rest of an abandoned answer. A new connection
// takes about as long.
const drainTime = time.Second

// ResetSession returns the connection to the state in which Connect left it. It ends
// the commands that were left open, reads the rest of their answers for up to
// a second, and selects the mailbox of the Config, or none. If the last holder left
// nothing behind, it does no I/O. It never expunges.
func (c *Conn) ResetSession(ctx context.Context) error {
	if err := c.poolable(); err != nil {
		return badConn(err)
	}
	c.endUpdates()
	if len(c.unfinished()) > 0 || c.selection() != c.home.selection {
		if err := c.cleanUp(ctx); err != nil {
			return err
		}
	}
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	c.startCount()
	return nil
}

// cleanUp is the part of ResetSession that does I/O. Only this part binds ctx, which
// costs more than the rest of a reset.
func (c *Conn) cleanUp(ctx context.Context) error {
	if len(c.unfinished()) > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, drainTime)
		defer cancel()
	}
	defer c.Bind(ctx)()
	c.finish()
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	err := c.restoreSelection()
	if err != nil && !driver.IsBad(err) {
		return badConn(err) // the next holder did not cause it
	}
	return err
}

// startCount sets the counts of Sent and Received to zero.
func (c *Conn) startCount() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sentBefore = c.conn.Sent()
	c.receivedBefore, c.answersBefore = c.conn.Received(), c.wire.answers.Load()
}

// Received returns the number of bytes received since Connect returned, or since the
// last ResetSession. It is zero until a whole line other than a BYE has arrived:
// a server that says only BYE has answered nothing.
func (c *Conn) Received() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire.answers.Load() == c.answersBefore {
		return 0
	}
	return c.conn.Received() - c.receivedBefore
}

// Sent returns the number of bytes sent since Connect returned, or since the last
// ResetSession.
func (c *Conn) Sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Sent() - c.sentBefore
}

// restoreSelection selects the mailbox of the Config, or none.
func (c *Conn) restoreSelection() error {
	switch {
	case c.selection() == c.home.selection:
		return nil
	case c.home.reset == ResetKeep:
		return nil
	case c.home.reset == ResetDiscard:
		return badConn(errors.New("a mailbox was selected"))
	case c.home.mailbox != "":
		_, err := c.Select(c.home.mailbox, &imap.SelectOptions{ReadOnly: c.home.readOnly}).Wait()
		return err
	case c.Caps().Has(imap.CapUnselect):
		return c.Unselect().Wait()
	}
	return c.unselectByFailure()
}

// noMailbox is a name that no mailbox has.
const noMailbox = "hotline-there-is-no-such-mailbox"

// unselectByFailure leaves the mailbox if the server does not support UNSELECT. After
// a failed EXAMINE no mailbox is selected; CLOSE would expunge.
func (c *Conn) unselectByFailure() error {
	_, err := c.Select(noMailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	var answer *imap.Error
	if errors.As(err, &answer) && c.selection() == (selection{}) {
		return nil
	}
	return badConn(errors.New("the server can't leave a mailbox without expunging it"))
}

// Time limits of Close. The LOGOUT is for servers that count connections: if
// a connection just vanishes, Gmail goes on counting it for a while.
const (
	farewellTime = 2 * time.Second
	endTime      = time.Second
)

// Close logs out, which takes at most two seconds, and closes the connection. If
// a command is in progress, or the connection has failed, it does not log out. Commands
// in progress fail. A second Close does nothing. The error is always nil.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		if c.lost() == nil && len(c.unfinished()) == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
			unbind := c.Bind(ctx)
			_ = c.client.Logout().Wait()
			unbind()
			cancel()
		}
		c.abandon()
	})
	return nil
}

// abandon closes the connection without LOGOUT and waits, up to endTime, until the
// client has ended.
func (c *Conn) abandon() {
	_ = c.conn.Close()
	done := make(chan struct{})
	go func() { // ends because the connection is closed
		defer close(done)
		c.finish()
		<-c.client.Closed()
	}()
	select {
	case <-done:
	case <-time.After(endTime):
	}
}

// String returns both addresses of the connection.
func (c *Conn) String() string {
	return fmt.Sprintf("imap %s->%s", c.conn.LocalAddr(), c.RemoteAddr())
}

// RemoteAddr returns the remote address of the connection.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
