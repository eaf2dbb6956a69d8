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
// It runs on the real engine: half of the contract is about the engine's clock.
// Rows live for 2 seconds there, the least that all engines can keep, so a run takes
// some 5 seconds.
package fleettest
