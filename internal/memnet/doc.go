// Package memnet is a network in memory, with faults, for tests.
//
// Its connections behave like TCP: both directions are buffered, the peer of a closed
// connection reads the bytes sent before and then io.EOF, and the errors are the same
// as in package net. It uses the clock of time.Now, so inside a testing/synctest bubble
// a dial over a network with 50 ms latency takes no real time. It starts no goroutine;
// calls block only on a condition variable, a timer or a context.
//
//	var nw memnet.Network
//	l, err := nw.Listen("server:1")
//	go serve(l)
//	c, err := nw.DialContext(ctx, "tcp", "server:1")
//
//	nw.Cut()         // the server crashes: every connection is reset
//	nw.Refuse(true)  // and stays down
//
// # Faults
//
//	Refuse        Dials fail with ECONNREFUSED, as if nothing listened.
//	Hang          Dials block until their context ends.
//	Silence       Nothing arrives, without an error on either end.
//	Cut, Conn.Cut Both ends find the connection reset.
//	SetLatency    Everything arrives later.
//
// Silence alone is like a stopped peer (SIGSTOP): its kernel still accepts
// connections. Silence with Hang is like a route that drops everything.
//
// # What it leaves out
//
// A Close with unread bytes sends a FIN, not a reset. The queue of connections
// waiting for Accept has no limit. Bytes that arrived before a Cut are lost.
// Addresses are compared as strings; nothing is resolved.
//
// # Concurrency
//
// All methods are safe for concurrent use. One mutex per Network guards the network,
// its listeners and its connections. Each listener and connection has its own condition
// variable. Nothing blocks while it holds the mutex.
package memnet
