// Package storm tests a pool of real connections under faults. 40 workers make requests
// through a proxy (toxiproxy, in process). In turn, it delays, slices, throttles,
// swallows, resets and cuts the traffic, each for a while. Then the server is killed and
// restarted.
//
// Every request has a different answer, so that the answer to another request is noticed.
// Some requests are abandoned halfway. After the storm, the pool must lend MaxOpen working
// connections at once, and leave no goroutine and no connection behind when it is closed.
//
// HOTLINE_STORM in the environment sets the length of a storm. The default is about 10 s.
package storm
