// Package testserver runs servers inside the process, for tests, the demo and the serve
// command. They can crash and come back.
//
//	ping := &testserver.Ping{User: "ada", Password: "secret"}
//	server, err := testserver.Start(testserver.TCP, "127.0.0.1:0", ping.Serve)
//	...
//	defer server.Close()
//	dial(server.Addr())
//
//	server.Kill()          // a crash: every connection is reset
//	err = server.Restart() // back, on the same address
//	server.Stats().Most    // the most connections open at once
//
// [Server] knows no protocol. It manages a listener and its connections for a function
// such as [Ping.Serve], with or without TLS, or the Serve of any other server. The
// network is anything that can listen: [TCP], or a memnet.Network.
//
// # Connections
//
// A connection counts as open from Accept until the protocol closes it, which the
// protocol does when it reads the end. So a client that closes one connection and dials
// another may count as two for a moment.
//
// # Goroutines
//
// A running server has one goroutine, which runs the protocol. The protocol must wait
// for its own goroutines, as Ping.Serve does. Kill and Close wait for the protocol, so
// nothing is left after them.
package testserver
