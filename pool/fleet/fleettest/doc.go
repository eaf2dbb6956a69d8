// Package fleettest tests a fleet.Store: each rule of its contract is a test of its
// own.
//
//	func TestConformance(t *testing.T) {
//		fleettest.Run(t, fleettest.Subject{
//			Open: func(t testing.TB) fleet.Store { return depot.New(client(t)) },
//			Lose: func(t testing.TB) { client(t).FlushAll() },
//		})
//	}
//
// Run it on the real engine, because half of the contract is about the engine's clock.
// Rows that expire live for 2 seconds, the shortest time that all engines support, so
// a run takes about 5 seconds.
package fleettest
