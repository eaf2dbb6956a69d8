package imap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/go-logr/logr"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
)

// Conn is a logged-in connection. Its methods send the commands of IMAP; see
// the package documentation for what they have in common. One goroutine uses
// it at a time, and any other may Close it.
type Conn struct {
	client    *imapclient.Client
	conn      *conn.Conn
	address   string // for errors
	wire      *wire
	home      home
	mechanism string
	expiry    time.Time     // of the credentials; zero if nobody knows
	margin    time.Duration // how long before expiry the connection goes
	closing   sync.Once

	mu         sync.Mutex // guards the fields below; never held across I/O
	begun      map[begun]struct{}
	updates    *updates
	at         place
	moves      int   // commands sent that lead to another place
	arrived    int   // the last of them that was answered
	sentBefore int64 // bytes sent before the lease

	receivedBefore int64 // bytes received before the lease
	answersBefore  int64 // wire.answers before the lease
}

// home is the state in which Connect returns a connection.
type home struct {
	place
	reset string
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
		address: address,
		conn:    nc,
		wire:    &wire{Conn: nc, trace: newTrace(log, nc), greeting: []byte(greeting)},
		home:    home,
		begun:   map[begun]struct{}{},
	}
	c.client = imapclient.New(c.wire, &imapclient.Options{UnilateralDataHandler: c.handler()})
	c.wire.client.Store(c.client)
	return c
}

// begin notes that b was sent.
func (c *Conn) begin(b begun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun[b] = struct{}{}
}

// end notes that the holder has seen the end of b.
func (c *Conn) end(b begun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.begun, b)
}

// unseen returns the commands whose end nobody has seen.
func (c *Conn) unseen() []begun {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.begun))
}

// finish ends what the holder has left open, and waits. All are ended at
// a time, for each may wait for another one to be read.
func (c *Conn) finish() {
	var all sync.WaitGroup
	for _, b := range c.unseen() {
		all.Go(b.finish) // ends when the command does, or the connection
	}
	all.Wait()
}

// Bind makes commands obey ctx: soon after it ends, those under way and all
// later ones fail with its error. IMAP can't take a command back, so that the
// connection is then of no more use. unbind waits for that to be under way; it
// may be called again.
//
// A pool's Do binds the connection to the context of Do.
func (c *Conn) Bind(ctx context.Context) (unbind func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		c.conn.Bind(ctx) // it has ended, so all I/O fails from now on
		go c.finish()    // ends because of that; it frees those who don't wait for I/O
	})
	return func() {
		if stop() {
			close(done) // for when it is called again
		}
		<-done
	}
}

// Ping sends a NOOP and waits for the answer.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	defer c.Bind(ctx)()
	c.finish()
	return c.Noop().Wait()
}

// IsValid reports whether the connection may be pooled: it is open and logged
// in, the credentials have not expired, and no APPEND waits for more. It does
// no I/O. What else was left open, ResetSession ends.
func (c *Conn) IsValid() bool {
	return c.poolable() == nil
}

// poolable returns why the connection must not be pooled, or nil.
func (c *Conn) poolable() error {
	for _, b := range c.unseen() {
		if a, ok := b.(*AppendCommand); ok && a.unfinished() {
			return errors.New("an APPEND was left open")
		}
	}
	return c.usable()
}

// usable returns why the connection is of no more use, or nil.
func (c *Conn) usable() error {
	if err := c.conn.Err(); err != nil {
		if bye := c.wire.bye(); bye != nil {
			return bye
		}
		return err
	}
	if !c.expiry.IsZero() && time.Until(c.expiry) <= c.margin {
		return fmt.Errorf("the credentials expire at %s", c.expiry.Format(time.RFC3339))
	}
	return nil
}

// expiryMargin is how long before the expiry of its credentials a connection
// goes: servers end it in the middle of a command. Sources keep a token until
// seconds before its end, so it is half of what was left at connect, where that
// is less: else each request would log in for itself.
const expiryMargin = time.Minute

// drainTime is what reading the rest of an abandoned answer may take. A new
// connection takes about as long.
const drainTime = time.Second

// ResetSession brings the connection back into the state in which Connect
// returned it, for the next holder. It ends the commands that were left open,
// reads what was left of their answers, for a second at most, and selects what
// the Config says, or no mailbox. Where the last holder has left all as it was
// there is no I/O. It never expunges.
func (c *Conn) ResetSession(ctx context.Context) error {
	if err := c.poolable(); err != nil {
		return badConn(err)
	}
	c.cutUpdates()
	if len(c.unseen()) > 0 || c.where() != c.home.place {
		if err := c.tidy(ctx); err != nil {
			return err
		}
	}
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	c.startCount()
	return nil
}

// tidy is the part of ResetSession that does I/O. To be ended by a context
// costs more than all the rest of a reset, so that part is apart.
func (c *Conn) tidy(ctx context.Context) error {
	if len(c.unseen()) > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, drainTime)
		defer cancel()
	}
	defer c.Bind(ctx)()
	c.finish()
	if err := c.usable(); err != nil {
		return badConn(err)
	}
	err := c.goHome()
	if err != nil && !driver.IsBad(err) {
		return badConn(err) // it is not the next holder's fault
	}
	return err
}

// startCount makes the next lease begin with nothing sent and received.
func (c *Conn) startCount() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sentBefore = c.conn.Sent()
	c.receivedBefore, c.answersBefore = c.conn.Received(), c.wire.answers.Load()
}

// Received returns how many bytes came from the server since Connect returned,
// or since the last ResetSession. It is zero until there is a whole line that is
// not a farewell: a server that only says BYE has answered nothing.
func (c *Conn) Received() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire.answers.Load() == c.answersBefore {
		return 0
	}
	return c.conn.Received() - c.receivedBefore
}

// goHome selects the mailbox of the Config, or none.
func (c *Conn) goHome() error {
	switch {
	case c.where() == c.home.place:
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

// noMailbox is a name that nobody has.
const noMailbox = "hotline-there-is-no-such-mailbox"

// unselectByFailure is for servers without UNSELECT: an EXAMINE that fails
// leaves no mailbox selected, and CLOSE would expunge.
func (c *Conn) unselectByFailure() error {
	_, err := c.Select(noMailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	var answer *imap.Error
	if errors.As(err, &answer) && c.where() == (place{}) {
		return nil
	}
	return badConn(errors.New("the server can't leave a mailbox without expunging it"))
}

// Bounds of Close. The farewell is for servers that count connections: Gmail
// counts those that just vanish for a while.
const (
	farewellTime = 2 * time.Second
	endTime      = time.Second
)

// Close logs out, which takes two seconds at most, and closes the connection.
// If a command is under way, or the connection has failed, it only closes it.
// Commands under way fail. A second Close does nothing.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		if c.conn.Err() == nil && len(c.unseen()) == 0 {
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

// abandon closes the connection without a word and waits, though not for ever,
// until the client has noticed.
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

// String names both ends of the connection.
func (c *Conn) String() string {
	return fmt.Sprintf("imap %s->%s", c.conn.LocalAddr(), c.conn.RemoteAddr())
}
