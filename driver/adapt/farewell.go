package adapt

import (
	"context"
	"io"
	"net"
	"time"
)

const (
	// farewell is how long a connection may take to say goodbye.
	farewell = time.Second

	// maxUnwanted is how many bytes of unread answers Farewell reads and drops. If
	// the server sends more, Close resets the connection.
	maxUnwanted = 256 << 10
)

// Farewell says goodbye to the server on nc, waits up to a second for the server
// to close the connection, and closes nc. So the server no longer counts the
// connection when Farewell returns. Most libraries only close it: then the server
// counts the connection a moment longer, and at its limit refuses the next one.
//
// If goodbye is empty, or the server does not react to it within half a second,
// Farewell closes the client's half of the connection, provided that nc has a method
// CloseWrite. Most servers then close theirs.
//
// Use Farewell in [Client.Close] for a library that dials on its own, if C gives
// access to its net.Conn. Another goroutine may be using nc: its I/O fails by the
// time Farewell returns. If the library does background work after that, such as
// canceling a request over another connection, pass channels that are closed when
// the work ends. If the server has not closed nc within the second, Farewell waits
// for them too, up to another second and a half.
func Farewell(nc net.Conn, goodbye string, background ...<-chan struct{}) error {
	giveUp := time.AfterFunc(farewell, func() { cutOff(nc) }) // not a deadline, which another goroutine might change
	half, ok := nc.(interface{ CloseWrite() error })
	until := time.Time{}
	if ok {
		until = time.Now().Add(farewell / 2)
	}
	ended := false
	if goodbye != "" && nc.SetDeadline(until) == nil {
		_, err := io.WriteString(nc, goodbye)
		ended = err == nil && awaitEnd(nc)
	}
	if ok && !ended && nc.SetDeadline(time.Time{}) == nil && half.CloseWrite() == nil {
		awaitEnd(nc)
	}
	if giveUp.Stop() {
		return cutOff(nc)
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell*3/2)
	defer cancel()
	for _, done := range background {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return nil // giveUp has closed nc
}

// cutOff closes nc at once. TLS would first say so to the server, and may have to wait
// until there is room for that.
func cutOff(nc net.Conn) error {
	over, layered := nc.(layer)
	if !layered || over.NetConn() == nil {
		return nc.Close()
	}
	err := cutOff(over.NetConn())
	_ = nc.Close() // fails at once
	return err
}

// awaitEnd reads and drops data until the connection ends, the deadline passes, or
// the limit is reached. It returns false after a deadline, because the server may
// still close the connection then.
func awaitEnd(nc net.Conn) bool {
	n, err := io.CopyN(io.Discard, nc, maxUnwanted)
	timeout, ok := err.(net.Error)
	return n == maxUnwanted || !ok || !timeout.Timeout()
}
