package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// opener makes connections according to a checked Config.
type opener struct {
	Config
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	hop   string   // the address to dial: of the server or the proxy
	proxy *dsn.URL // nil: none
	doubt proxyDoubt
	name  string // the address for errors, with the proxy if there is one
}

func newOpener(c Config) *opener {
	o := &opener{Config: c, dial: c.Dial, hop: c.Address, name: c.Address}
	if c.Dial == nil {
		o.dial = c.dialer().DialContext
	}
	if c.Proxy != "" {
		o.proxy, _ = parseProxy(c.Proxy) // checked
		o.hop = net.JoinHostPort(o.proxy.Host, fmt.Sprint(o.proxy.Port))
		o.name += " through " + o.proxy.Scheme + " proxy " + o.hop
	}
	if c.PingBytes != "" {
		o.Ping = pingPong(c.PingBytes, c.PongBytes)
	}
	return o
}

func (c *Config) dialer() *net.Dialer {
	d := &net.Dialer{
		FallbackDelay: c.FallbackDelay,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   c.KeepAliveIdle >= 0,
			Idle:     c.KeepAliveIdle,
			Interval: c.KeepAliveInterval,
			Count:    c.KeepAliveCount,
		},
		KeepAlive: -1, // used if KeepAliveConfig is not enabled
	}
	if addr, err := netip.ParseAddr(c.LocalAddr); err == nil {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
	}
	if c.UserTimeout > 0 {
		d.Control = setUserTimeout(c.UserTimeout)
	}
	return d
}

// open dials, connects through the proxy, does the handshake and pings. If it
// fails, or Handshake or Ping panics, it closes the socket.
func (o *opener) open(ctx context.Context) (*Conn, error) {
	socket, err := o.dial(ctx, o.network(), driver.DialAddress(ctx, o.hop))
	if err == nil && socket == nil {
		err = errors.New("the Dial function returned no connection")
	}
	if err != nil {
		return nil, fmt.Errorf("tcp: connect to %s: %w", o.name, err)
	}
	ready := false
	defer func() {
		if !ready {
			_ = socket.Close()
		}
	}()
	nc, err := o.prepare(ctx, socket)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: conn.New(nc), ping: o.Ping, name: o.name}
	if o.Ping != nil && !o.SkipConnectPing {
		if err := o.firstPing(ctx, socket, c); err != nil {
			return nil, err
		}
	}
	ready = true
	return c, nil
}

// firstPing checks that a server answers on c, a new connection over socket. The
// bytes that it sends and receives don't count.
func (o *opener) firstPing(ctx context.Context, socket net.Conn, c *Conn) error {
	err := within(ctx, socket, func() error {
		if err := o.Ping(ctx, c.Conn); err != nil {
			return err
		}
		return c.ResetSession(ctx)
	})
	if err != nil {
		return fmt.Errorf("tcp: ping after connect to %s: %w", o.name, err)
	}
	return nil
}

// prepare makes socket ready for use, within ctx.
func (o *opener) prepare(ctx context.Context, socket net.Conn) (c net.Conn, err error) {
	if s, ok := socket.(*net.TCPConn); ok && o.Delay {
		_ = s.SetNoDelay(false) // fails only on a dead socket, which the next I/O finds
	}
	if o.proxy != nil {
		err := within(ctx, socket, func() error { return throughProxy(socket, o.proxy, o.Address) })
		if err = o.doubt.classify(err); err != nil {
			return nil, fmt.Errorf("tcp: connect to %s: %w", o.name, err)
		}
	}
	if o.Handshake == nil {
		return socket, nil
	}
	err = within(ctx, socket, func() (err error) {
		c, err = o.Handshake(ctx, socket)
		return err
	})
	if err == nil && c == nil {
		err = errors.New("the Handshake function returned no connection")
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, fmt.Errorf("tcp: handshake with %s: %w", o.name, err)
	}
	return c, nil
}

// within runs talk, which reads and writes on c. If ctx ends first, it closes c,
// which ends talk too: a connection that is only half ready is useless.
func within(ctx context.Context, c net.Conn, talk func() error) (err error) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.Close()
		close(closed)
	})
	defer func() {
		if stop() {
			return
		}
		<-closed
		why := ctx.Err()
		if cause := context.Cause(ctx); cause != why {
			why = fmt.Errorf("%w: %w", why, cause)
		}
		if err != nil {
			why = fmt.Errorf("%w: %w", why, err)
		}
		err = why
	}()
	return talk()
}
