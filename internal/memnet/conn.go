package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes one direction holds before Write blocks. It is larger than
// any request in a test, but small enough to fill.
const window = 64 << 10

// Conn is one end of a connection. It is a net.Conn. As with TCP, its errors are
// *[net.OpError], except io.EOF.
type Conn struct {
	nw            *Network
	peer          *Conn
	local, remote addr
	dials         bool // the dialing end, which counts in Stats.Open

	// Guarded by nw.mu.
	changed sync.Cond // signals changes below or in the peer that I/O may wait for
	in      []packet  // on their way or arrived, oldest first
	unread  int       // bytes in in
	readBy  time.Time // the deadlines; zero for none
	writeBy time.Time
	silent  bool // both ends have the same silent and cut
	cut     bool
	closed  bool
	ended   bool // has sent its FIN
	broken  bool // the peer answered a write with a reset
}

// packet is the data of one Write, or a FIN if it has no data.
type packet struct {
	data    []byte
	arrives time.Time
	held    bool // held back by Silence
}

func (n *Network) newPairLocked(server addr) (client, accepted *Conn) {
	client = &Conn{nw: n, local: addr(n.newNameLocked("client")), remote: server, dials: true}
	accepted = &Conn{nw: n, local: server, remote: client.local, peer: client}
	client.peer = accepted
	client.changed.L, accepted.changed.L = &n.mu, &n.mu
	return client, accepted
}

// Read returns bytes that have arrived. It blocks until there are some, the deadline
// passes, or either end closes.
func (c *Conn) Read(b []byte) (n int, err error) {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	for {
		if err := c.stateLocked("read", c.readBy); err != nil {
			return 0, c.error("read", err)
		}
		if len(b) == 0 {
			return 0, nil
		}
		n, fin, next := c.takeLocked(b)
		if n > 0 {
			c.peer.changed.Broadcast()
			return n, nil
		}
		if fin {
			return 0, io.EOF
		}
		c.waitLocked(c.readBy, next)
	}
}

// takeLocked moves bytes that have arrived to b. If there are none, it reports whether
// the FIN has arrived, and if not, when the next packet will; zero means that none is
// on its way.
func (c *Conn) takeLocked(b []byte) (n int, fin bool, next time.Time) {
	now := time.Now()
	for n < len(b) && len(c.in) > 0 {
		p := &c.in[0]
		if p.held {
			break
		}
		if p.arrives.After(now) {
			next = p.arrives
			break
		}
		if len(p.data) == 0 {
			fin = true
			break
		}
		k := copy(b[n:], p.data)
		n += k
		c.unread -= k
		if p.data = p.data[k:]; len(p.data) == 0 {
			c.in = c.in[1:]
		}
	}
	return n, fin, next
}

// Write sends b. It blocks while 64 KiB are unread at the other end. As with TCP, the
// first Write to a closed peer succeeds, although the bytes are lost, and the next one
// fails with EPIPE.
func (c *Conn) Write(b []byte) (n int, err error) {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	for {
		err := c.stateLocked("write", c.writeBy)
		if err == nil && (c.ended || c.broken) {
			err = os.NewSyscallError("write", syscall.EPIPE)
		}
		if err != nil {
			return n, c.error("write", err)
		}
		if c.peer.closed {
			c.broken = !c.mutedLocked()
			return n + len(b), nil
		}
		k := min(len(b), window-c.peer.unread)
		if k > 0 {
			c.sendLocked(append([]byte(nil), b[:k]...))
			b = b[k:]
			n += k
		}
		if len(b) == 0 {
			return n, nil
		}
		c.waitLocked(c.writeBy)
	}
}

// sendLocked puts data, or a FIN, on its way to the peer.
func (c *Conn) sendLocked(data []byte) {
	p := c.peer
	p.in = append(p.in, packet{data: data, arrives: p.arrivalLocked(), held: c.mutedLocked()})
	p.unread += len(data)
	p.changed.Broadcast()
}

// arrivalLocked returns when a packet sent now arrives. If a packet ahead of it arrives
// later, it waits for that one.
func (c *Conn) arrivalLocked() time.Time {
	if c.dials {
		return time.Now().Add(c.nw.toClient)
	}
	return time.Now().Add(c.nw.toServer)
}

// releaseLocked releases the packets that a silence held back, if it is over.
func (c *Conn) releaseLocked() {
	if c.mutedLocked() {
		return
	}
	for i := range c.in {
		if c.in[i].held {
			c.in[i].held = false
			c.in[i].arrives = c.arrivalLocked()
		}
	}
	c.changed.Broadcast()
}

func (c *Conn) mutedLocked() bool { return c.silent || c.nw.silent }

// stateLocked returns the reason why I/O is impossible, or nil.
func (c *Conn) stateLocked(op string, deadline time.Time) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return os.ErrDeadlineExceeded
	case c.cut:
		return os.NewSyscallError(op, syscall.ECONNRESET)
	}
	return nil
}

// waitLocked waits for a change, or for the earliest of the times that are not zero. It
// may return early.
func (c *Conn) waitLocked(times ...time.Time) {
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		timer := time.AfterFunc(time.Until(t), func() {
			c.nw.mu.Lock() // blocks until Wait has released it
			defer c.nw.mu.Unlock()
			c.changed.Broadcast()
		})
		defer timer.Stop()
	}
	c.changed.Wait()
}

// Close ends the connection: I/O in progress fails with net.ErrClosed, and the peer
// reads io.EOF after the bytes sent before. A second Close fails.
func (c *Conn) Close() error {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	if c.closed {
		return c.error("close", net.ErrClosed)
	}
	c.closeLocked()
	return nil
}

func (c *Conn) closeLocked() {
	c.endLocked()
	c.closed = true
	c.in, c.unread = nil, 0
	if c.dials {
		c.nw.stats.Open--
	}
	if c.peer.closed {
		delete(c.nw.dialed, c)
		delete(c.nw.dialed, c.peer)
	}
	c.changed.Broadcast()
	c.peer.changed.Broadcast()
}

// CloseWrite ends this direction: the peer reads io.EOF after the bytes sent before,
// and can still send.
func (c *Conn) CloseWrite() error {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	if c.closed {
		return c.error("close", net.ErrClosed)
	}
	c.endLocked()
	c.changed.Broadcast()
	return nil
}

func (c *Conn) endLocked() {
	if !c.ended && !c.peer.closed {
		c.sendLocked(nil)
	}
	c.ended = true
}

// Cut resets the connection: I/O on both ends fails at once with ECONNRESET, and bytes
// on their way or unread are lost. Both ends must still be closed.
func (c *Conn) Cut() {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	c.cutLocked()
}

func (c *Conn) cutLocked() {
	for _, end := range []*Conn{c, c.peer} {
		end.cut = true
		end.changed.Broadcast()
	}
}

// Silence is like [Network.Silence], but only for this connection, in both directions.
func (c *Conn) Silence(on bool) {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	for _, end := range []*Conn{c, c.peer} {
		end.silent = on
		end.releaseLocked()
	}
}

// LocalAddr returns the address of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines. Zero means none. One in the past makes I/O fail at
// once, even if there are bytes to read.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.readBy, &c.writeBy)
}

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.readBy)
}

// SetWriteDeadline sets the deadline of Write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.writeBy)
}

func (c *Conn) setDeadlines(t time.Time, deadlines ...*time.Time) error {
	c.nw.mu.Lock()
	defer c.nw.mu.Unlock()
	if c.closed {
		return c.error("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		*d = t
	}
	c.changed.Broadcast()
	return nil
}

func (c *Conn) error(op string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}
