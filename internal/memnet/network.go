package memnet

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Network connects dialers to listeners. The zero value is a healthy network
// without latency. It must not be copied.
type Network struct {
	mu        sync.Mutex // guards all below, and the fields of listeners and connections
	listeners map[string]*listener
	dialed    map[*Conn]struct{} // the dialing ends of connections with an open end
	named     int                // number of addresses chosen so far
	stats     Stats

	refuse, hang, silent bool
	toServer, toClient   time.Duration // how long bytes travel
}

// Stats counts what a [Network] has seen.
type Stats struct {
	Dials   int // dials begun, successful or not
	Open    int // connections whose dialing end isn't closed, including cut ones
	MaxOpen int // the highest value of Open
}

// Stats returns the current counts.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// Refuse(true) makes dials fail with ECONNREFUSED; Refuse(false) ends that. Open
// connections stay open.
func (n *Network) Refuse(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = on
}

// Hang(true) makes dials that begin from now on block until their context ends;
// Hang(false) ends that for new dials. A dial that already hangs keeps hanging.
func (n *Network) Hang(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hang = on
}

// SetLatency sets how long bytes written from now on travel: toServer from a dialing
// end, toClient to it. A dial takes the sum. Bytes never overtake each other. The
// default is zero.
func (n *Network) SetLatency(toServer, toClient time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.toServer, n.toClient = toServer, toClient
}

// Silence(true) holds back everything sent from now on, bytes and FINs, on all current
// and future connections. Only [Conn.Cut] and [Network.Cut] get through. After
// Silence(false), everything held back arrives with the usual latency, as if TCP sent
// it again.
func (n *Network) Silence(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = on
	for c := range n.dialed {
		c.releaseLocked()
		c.peer.releaseLocked()
	}
}

// Cut resets every open connection; see [Conn.Cut].
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.dialed {
		c.cutLocked()
	}
}

// DialContext connects to the listener on address. network only appears in errors. It
// blocks for a round trip, or until ctx ends. Errors are *[net.OpError]; ECONNREFUSED
// means that nothing listens.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.dial(ctx, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: err}
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, address string) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.stats.Dials++
	hang, there, back := n.hang, n.toServer, n.toClient
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := travel(ctx, there); err != nil {
		return nil, err
	}
	c, refused := n.connect(address)
	if err := travel(ctx, back); err != nil {
		if c != nil {
			c.Close()
		}
		return nil, err
	}
	return c, refused
}

// travel waits for d, or for the end of ctx.
func travel(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect adds a new connection to the queue of the listener on address, and returns
// its dialing end.
func (n *Network) connect(address string) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[address]
	if l == nil || n.refuse {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	client, server := n.newPairLocked(l.addr)
	if n.dialed == nil {
		n.dialed = map[*Conn]struct{}{}
	}
	n.dialed[client] = struct{}{}
	n.stats.Open++
	n.stats.MaxOpen = max(n.stats.MaxOpen, n.stats.Open)
	l.queue = append(l.queue, server)
	l.changed.Signal()
	return client, nil
}

// addr is an address on a Network.
type addr string

func (addr) Network() string  { return "mem" }
func (a addr) String() string { return string(a) }
