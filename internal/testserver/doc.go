// Package testserver runs servers inside the process, for tests, for the demo
// and for the serve command, and lets them crash and come back.
//
//	ping := &testserver.Ping{User: "ada", Password: "secret"}
//	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", ping.Serve)
//	...
//	defer server.Close()
//	dial(server.Addr())
//
//	server.Kill()          // a crash: every connection is reset
//	err = server.Restart() // back, on the same address
//	server.Stats().Most    // connections open at once, at the most
//
// [Server] knows no protocol: it looks after a listener and its connections,
// and gives them to a function such as [Ping.Serve], in TLS or not, or Serve of
// any other server. The network is any that can listen: [TCP], or a
// memnet.Network.
//
// # Connections
//
// A connection is open from the moment when it is accepted until the protocol
// closes it, which it does when it has read the end. A client that closes one
// connection and dials the next may for a moment be counted for two.
//
// # Goroutines
//
// A running server has one goroutine, which runs the protocol; the protocol's
// own are for it to wait for, as Ping.Serve does. Kill and Close wait for that
// one, so nothing is left after them.
package testserver
