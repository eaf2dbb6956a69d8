package adapt

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lingering is a connection that closes in two steps. Close, which the client
// library may call at any time, ends all I/O. end, which the pool calls later, says
// goodbye and waits until the server has closed the connection.
type lingering struct {
	net.Conn
	goodbye string

	closed  atomic.Bool
	reading sync.Mutex // held by Read, so that end waits for it
	writing sync.Mutex // held by Write, so that end waits for it
	cut     bool       // a Write failed, perhaps halfway; guarded by writing
	ending  sync.Once
}

// layer is a connection over another one, as TLS is. secured is TLS.
type (
	layer   interface{ NetConn() net.Conn }
	secured interface{ ConnectionState() tls.ConnectionState }
)

// linger wraps nc. The result has the methods of nc that package conn looks for.
func linger(nc net.Conn, goodbye string) net.Conn {
	l := &lingering{Conn: nc, goodbye: goodbye}
	over, layered := nc.(layer)
	state, isTLS := nc.(secured)
	switch {
	case layered && isTLS:
		return struct {
			*lingering
			layer
			secured
		}{l, over, state}
	case layered:
		return struct {
			*lingering
			layer
		}{l, over}
	}
	return l
}

// SyscallConn gives package conn access to the socket, if there is one.
func (l *lingering) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := l.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Read implements net.Conn.
func (l *lingering) Read(b []byte) (int, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	if l.closed.Load() {
		return 0, net.ErrClosed
	}
	return l.Conn.Read(b)
}

// Write implements net.Conn.
func (l *lingering) Write(b []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := l.Conn.Write(b)
	l.cut = l.cut || err != nil
	return n, err
}

// Close implements net.Conn. If the pool does not call end, because the connection
// was hijacked from it, end runs a second later.
func (l *lingering) Close() error {
	if l.closed.Swap(true) {
		return net.ErrClosed
	}
	time.AfterFunc(farewell, l.end)
	return l.SetDeadline(time.Unix(1, 0)) // so that blocked I/O fails
}

// end closes the connection and waits until the server has closed it too. It does
// not say goodbye after half a request, because goodbye would complete the request.
func (l *lingering) end() {
	_ = l.Close()
	l.ending.Do(func() {
		l.reading.Lock() // waits for the last Read, which Close has ended
		goodbye := l.goodbye
		l.reading.Unlock()
		l.writing.Lock() // waits for the last Write
		if l.cut {
			goodbye = ""
		}
		l.writing.Unlock()
		_ = Farewell(l.Conn, goodbye)
	})
}
