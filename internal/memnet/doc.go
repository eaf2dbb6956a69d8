// Package memnet is a network in memory, with faults, for tests.
//
// Its connections behave as TCP does: both directions are buffered, Close lets
// the peer read what was sent and then io.EOF, and errors are those of package
// net. Time passes on it as time.Now has it, so that inside a testing/synctest
// bubble a dial over a network of 50 ms costs no real time. It starts no
// goroutine; whatever blocks, blocks on a condition, a timer or a context.
//
//	var nw memnet.Network
//	l, err := nw.Listen("server:1")
//	go serve(l)
//	c, err := nw.DialContext(ctx, "tcp", "server:1")
//
//	nw.Cut()         // the server crashes: every connection is reset
//	nw.Refuse(true)  // ... and it is not back yet
//
// # Faults
//
//	Refuse        a dial fails with ECONNREFUSED, as it does where nobody listens
//	Hang          a dial never ends by itself
//	Silence       nothing arrives any more, and nobody is told
//	Cut, Conn.Cut both ends find the connection reset
//	SetLatency    everything arrives later
//
// Silence alone is a peer that was stopped (SIGSTOP): its kernel still takes
// connections. Silence with Hang is a route that drops everything.
//
// # What it leaves out
//
// A Close with bytes unread sends a FIN, not a reset. The queue of connections
// that wait for Accept has no limit. Bytes that had arrived before a Cut are
// lost. Addresses are compared as strings; nothing is resolved.
//
// # Concurrency
//
// All methods are safe for use by many goroutines. One mutex per Network
// guards the network, its listeners and its connections; each of them has
// a condition of its own. Nothing blocks while it holds the mutex.
package memnet
