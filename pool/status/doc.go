// Package status serves a page about pools: the state of each and the reason for it,
// its waiting callers, its connections, and plots of the last 10 minutes.
//
//	page := status.New(p)
//	defer page.Close()
//	mux.Handle("/debug/pools", page)
//
// The page needs only this handler, at any path. It updates itself; without scripts, the
// browser reloads it. ?pool= with the name of a pool shows only that pool. ?format=json
// returns JSON instead: the pool.Snapshot of each pool.
//
// # Access
//
// The page shows no secret of a DSN. It does show pool names, addresses, server errors
// and, for leases that may be leaked (Config.LeakAfter), stacks of this program. It has
// no login, so protect it like your other internal pages. It is not registered on
// http.DefaultServeMux. It answers only GET and HEAD, and changes nothing.
//
// # Cost
//
// A page takes a Snapshot of its pools every 5 seconds, for the plots, and keeps 120
// samples of each, about 14 kB per pool. While anyone reads the page, it does so once
// a second; all readers share the result. It holds a pool's lock only as long as
// Pool.Snapshot does.
//
// A closed pool is shown for another minute.
package status
