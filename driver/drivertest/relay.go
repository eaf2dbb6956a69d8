package drivertest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Relay sits between a driver and a real server, so that [Run] can check the
// driver against that server. network and address are those of the server, as in
// [net.Dial]: "tcp" and host:port, or "unix" and a path. The driver connects to
// the address that Relay returns, on the same network. Relay opens a connection
// to the server for each one from the driver.
//
// The returned Server controls the driver's connections: AwaitOpen counts them,
// and Silence stops the bytes in both directions. It does not affect the real
// server, even after Refuse.
func Relay(t testing.TB, network, address string) (server Server, relayed string) {
	t.Helper()
	ln := relayListener(t, network)
	handle := func(c net.Conn) { relay(t, c, network, address) }
	return Serve(t, ln, Each(handle)), ln.Addr().String()
}

// relayListener listens on a free port of loopback, or on a socket in a new
// directory.
func relayListener(t testing.TB, network string) net.Listener {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "") // the path from t.TempDir may be too long for a socket
		if err != nil {
			t.Fatalf("drivertest: relay: %v", err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		at = filepath.Join(dir, "s")
	} else {
		network = "tcp"
	}
	ln, err := net.Listen(network, at)
	if err != nil {
		t.Fatalf("drivertest: relay: %v", err)
	}
	return ln
}

// relay copies bytes between client and a new connection to the server until one
// of them closes. A silent relay does not pass on a close of the server.
func relay(t testing.TB, client net.Conn, network, address string) {
	server, err := new(net.Dialer).DialContext(t.Context(), network, address)
	if err != nil {
		if t.Context().Err() == nil {
			t.Errorf("drivertest: relay: %v", err)
		}
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() { // ends when either connection does
		_, _ = io.Copy(client, server)
		if !client.(*serverConn).server.isSilent() {
			_ = client.Close()
		}
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answers.Wait()
}
