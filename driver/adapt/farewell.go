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

	// unwanted is how many bytes of unwanted answers are read meanwhile. A server
	// that sends more gets a reset.
	unwanted = 256 << 10
)

// Farewell says goodbye to the server on nc, waits up to a second for the server
// to close the connection, and closes nc. So the server no longer counts the
// connection when Farewell returns. After a plain Close, which is what most
// libraries do, it still counts it for a moment, and a server at its limit refuses
// the next one.
//
// If goodbye is empty, or the server does not react to it, Farewell closes the
// client's half of the connection, which most servers take as its end.
//
// Use Farewell in [Client.Close] for a library that dials on its own, if C gives
// access to its net.Conn. Another goroutine may be using nc: its I/O fails by the
// time Farewell returns. If the library does background work after that, such as
// canceling a request over another connection, pass channels that are closed when
// the work ends. If the server has not closed nc, Farewell waits for them too, up
// to another second and a half.
func Farewell(nc net.Conn, goodbye string, background ...<-chan struct{}) error {
	hurry := time.AfterFunc(farewell, func() { nc.Close() }) // not a deadline, which another goroutine might change
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
	if hurry.Stop() {
		return nc.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell*3/2)
	defer cancel()
	for _, done := range background {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	return nil // nc is closed
}

// awaitEnd reads until the connection or its deadline ends, or too much has come.
// It reports false after a deadline, when the server may still close the
// connection.
func awaitEnd(nc net.Conn) bool {
	n, err := io.CopyN(io.Discard, nc, unwanted)
	timeout, ok := err.(net.Error)
	return n == unwanted || !ok || !timeout.Timeout()
}
