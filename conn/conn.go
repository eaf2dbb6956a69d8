package conn

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// Conn is a [net.Conn] that obeys contexts, knows whether it is still usable,
// and counts the bytes it moves. Create one with [New].
type Conn struct {
	nc       net.Conn
	base     net.Conn // at the bottom of nc: nc itself, or the socket under TLS
	sock     *socket  // the socket of base, or nil if it can't be peeked at
	cancelFn func()   // c.cancel, made once so that Bind allocates less

	// Bytes that a Write may have given to the peer always show in sent or in
	// writing: Write increments writing before its first byte leaves, and
	// decrements it after adding all of them to sent. So code that loads writing
	// first, and then sent, misses only a Write that began later.
	writing        atomic.Int32 // Writes in progress
	sent, received atomic.Int64 // bytes since the last reset

	reading sync.Mutex  // held by Read and by Check
	ahead   [1]byte     // guarded by reading: a byte that Check read
	ready   bool        // guarded by reading: the TLS handshake is done
	peeked  atomic.Bool // changed under reading: Read has yet to return ahead

	mu      sync.Mutex // guards the fields below; never held across I/O
	state   state
	first   error     // the first error; nil only in open
	why     error     // the cause of the present state; nil only in open
	readBy  time.Time // the user's deadlines; zero for none
	writeBy time.Time //
	bound   []binding // Binds in force, oldest first
	binds   uint64    // number of Binds so far: the id of the latest
}

var (
	_ net.Conn               = (*Conn)(nil)
	_ driver.Conn            = (*Conn)(nil)
	_ driver.Binder          = (*Conn)(nil)
	_ driver.Validator       = (*Conn)(nil)
	_ driver.SessionResetter = (*Conn)(nil)
	_ driver.Receiver        = (*Conn)(nil)
	_ driver.Sender          = (*Conn)(nil)
)

// New wraps nc, which belongs to the Conn from then on: nobody else may read,
// write or close it, or set its deadlines. It panics if nc is nil.
//
// If nc encodes, encrypts or buffers the bytes of another connection, it must
// have a method NetConn() net.Conn that returns that connection, as [tls.Conn]
// does. Otherwise [Conn.Check] would take raw bytes for data.
func New(nc net.Conn) *Conn {
	if nc == nil {
		panic("conn: New with a nil connection")
	}
	c := &Conn{nc: nc, base: bottom(nc)}
	c.sock = newSocket(c.base)
	c.cancelFn = c.cancel
	return c
}

// bottom unwraps nc as far as possible.
func bottom(nc net.Conn) net.Conn {
	for {
		w, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		inner := w.NetConn()
		if inner == nil {
			return nc
		}
		nc = inner
	}
}

// layered reports whether the bytes of nc are not those of the socket.
func (c *Conn) layered() bool { return c.nc != c.base }

// NetConn returns the wrapped connection. Bytes moved on it directly are not
// counted, and its errors don't end the Conn.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Read reads as [net.Conn] does. At the end of the stream it returns io.EOF
// itself; other errors are of type *[Error].
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	n, err := c.readLocked(b)
	c.reading.Unlock()
	if n > 0 {
		c.received.Add(int64(n))
	}
	if err != nil {
		err = c.fail("read", err)
	}
	return n, err
}

func (c *Conn) readLocked(b []byte) (int, error) {
	if len(b) > 0 && c.peeked.Load() {
		c.peeked.Store(false)
		return copy(b, c.ahead[:]), nil
	}
	return c.nc.Read(b)
}

// Write writes as [net.Conn] does. Its errors are of type *[Error].
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Add(1)
	n, err := c.nc.Write(b)
	if n > 0 {
		c.sent.Add(int64(n))
	}
	c.writing.Add(-1) // before fail, so that its error counts this Write in Sent only
	if err != nil {
		err = c.fail("write", err)
	}
	return n, err
}

// Sent returns how many bytes Write has sent since the last
// [Conn.ResetSession], or since New. It implements [driver.Sender].
func (c *Conn) Sent() int64 { return c.sent.Load() }

// Received returns how many bytes Read has returned since the last
// [Conn.ResetSession], or since New. Bytes read before New, in a handshake,
// don't count. It implements [driver.Receiver].
func (c *Conn) Received() int64 { return c.received.Load() }

// LocalAddr returns the local address of the wrapped connection.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the remote address of the wrapped connection.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetDeadline sets both deadlines, as [net.Conn] does. It fails once the
// context of a [Conn.Bind] has ended: no deadline undoes that. Its errors
// are of type *[Error].
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, net.Conn.SetDeadline, &c.readBy, &c.writeBy)
}

// SetReadDeadline is [Conn.SetDeadline] for Read.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, net.Conn.SetReadDeadline, &c.readBy)
}

// SetWriteDeadline is [Conn.SetDeadline] for Write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, net.Conn.SetWriteDeadline, &c.writeBy)
}

// setDeadline calls set and records t in each of record.
func (c *Conn) setDeadline(t time.Time, set func(net.Conn, time.Time) error, record ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state >= cancelled {
		return c.newErrorLocked("set", c.why)
	}
	if err := set(c.nc, t); err != nil {
		return c.newErrorLocked("set", err)
	}
	for _, r := range record {
		*r = t
	}
	return nil
}
