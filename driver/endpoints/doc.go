// Package endpoints connects one pool to several servers: a list of hosts, all
// addresses of a name, or the SRV records of a service. The pool has one MaxOpen for
// all of them, and lends the driver's own connections.
//
//	p, err := pool.Open[net.Conn]("tcp", "tcp://10.0.0.1:2485,10.0.0.2:2485?hosts_order=least_open", pool.Config{})
//
// A program that needs more than a DSN can say makes the connector itself:
//
//	connector, err := endpoints.New(endpoints.Set{
//		Addrs:     []string{"db1.example.org:5432", "db2.example.org:5432"},
//		Connector: func(addr string) (driver.Connector, error) { return open(addr) },
//		Want:      isPrimary,
//	})
//	...
//	p, err := pool.New[*pgx.Conn](connector, pool.Config{})
//
// # DSN
//
// For [Open] and pool.Open, the DSN of any driver may list several hosts, each with
// its port. The rest of the DSN applies to every host. The parameters below are
// removed before the driver gets the DSN. They also work with a single host:
//
//	hosts_order    in_order, random or least_open; the default is in_order
//	hosts_refresh  how often to look up names again; default 30s, at least 1s.
//	               Negative: the driver looks them up and uses one of the addresses
//	hosts_share    the longest time that a Connect tries one host alone, as
//	               a fraction of the time it has left; default 0.25
//	hosts_srv      a service such as imaps. The hosts in the DSN are then domains
//	               without ports, and their _imaps._tcp records have the hosts and
//	               ports. The records' priorities and weights apply with every
//	               hosts_order
//
// A driver that reads host lists itself also gets one host at a time. To give it the
// whole list, pass the connector of driver.OpenConnector to pool.New.
//
// # Guarantees
//
//  1. A Connect fails only after every endpoint has failed, has used up its time, or
//     rests because of rule 4. Endpoints that failed before are tried last. They
//     are still tried: no number of failures makes all of them unusable.
//  2. An endpoint that does not answer holds up a Connect for no longer than its
//     head start. Then the next endpoint is tried too, and the first connection
//     wins. The other attempt is canceled, and Connect waits up to 100 ms for it to
//     end. At most two endpoints are tried at the same time, and the pool counts
//     the two as one connection. So no endpoint has more than MaxOpen connections
//     of a pool, and all together have at most one more for each Connect in
//     progress. A driver that goes on after its context has ended may exceed that.
//  3. After a failure, an endpoint rests, longer each time. When the rest is over,
//     one Connect at a time tries the endpoint. More Connects try it only if nothing
//     better is left. Connects that were in progress at the same time and fail count
//     as one failure.
//  4. An endpoint that refuses permanently (driver.Permanent) is tried once
//     a minute, by one Connect. An endpoint that asks for a pause (driver.Throttled,
//     driver.Full) is tried after that pause. If all endpoints rest for such a reason,
//     all are tried.
//  5. The error of Connect is permanent if the error of every endpoint is, and full
//     if the error of any endpoint is. If every endpoint asks for a pause, so does
//     the error of Connect, for the shortest one.
//  6. A failed lookup changes nothing. A new address is used at once. A missing
//     address gets no new connections unless all others fail. If a lookup half
//     a Refresh later does not find it either, the address is gone: the pool
//     replaces the connections to it, the new ones first.
//  7. A connection counts toward its endpoint from Connect until its Close has
//     returned.
//
// # Endpoints
//
// The head start is 4 times what the last successful Connect to the endpoint took, at
// least 250 ms, or 1 second if none has succeeded. It is never more than Share of
// the time that the Connect has left. A pool's caller may give up earlier
// (driver.CallerDeadline). Then the head start is also no more than the longest of
// these: Share of the caller's time, 100 ms, and twice what the last successful
// Connect took.
//
//	            ┌────────────► up ◄────────────┐
//	untried ────┤                              │ a Connect succeeds
//	            └─► down, full, unfit, refused ┘
//
//	any  ──► gone       when lookups no longer find it
//	gone ──► untried    when lookups find it again
//
//	status   meaning                           is tried
//	untried  no Connect has ended yet          in its turn
//	up       the last Connect succeeded        in its turn
//	down     the last Connect failed           after 100 ms, twice as long each time, up to 10 s
//	full     it has no room (driver.Full)      like down, or after the pause it asked for
//	unfit    Want rejected it                  like down
//	refused  permanent (driver.Permanent)      after a minute
//	gone     lookups no longer find it         never
//
// An endpoint is also down when it exceeds its head start, until its Connect succeeds,
// and when a connection to it is useless: dead at its first use (driver.Receiver). For
// a minute after that, a successful Connect does not make it up, but starts the same
// rest again.
//
// With InOrder, connections go back to the first endpoint as the pool replaces them:
// after one MaxLifetime, all of them are there. With LeastOpen, the shares become even
// in the same way.
//
// Pool.Reset ends all rests: the next Connect tries the endpoints as if none had
// failed.
//
// Connector.State returns the state of each endpoint. Pool.Snapshot shows it too, as
// Servers.
//
// # Roles
//
// Want rejects servers that have the wrong role. A server may change its role later.
// If it then refuses a request, such as a write to a demoted primary, the program
// calls Pool.ResetIf for the connections to that server and makes the request again.
// The failover example does that.
//
// # Names
//
// To reach each address of a name, a driver must call driver.DialAddress. The drivers
// of this module do, and so do those made by adapt with Start and without Dial. Other
// drivers look up the name themselves. Their connections count toward the address that
// their RemoteAddr method returns, if they have one.
//
// Names are looked up at the first Connect. While a pool is open, they are looked
// up again every Refresh, and after a failed Connect, in a goroutine of the pool.
//
// A driver checks the certificate for the host that it was given. With SRV, that is
// the host in the record. So anyone who can forge DNS answers can send the pool, and
// its password, to a server of their own. If you do not trust the DNS, let the driver
// check the certificate for the domain; the servers then need certificates for it. The
// tls and imap drivers do so with server_name=example.org in the DSN.
//
// # Locks
//
// Connector.mu guards everything that changes. It is a leaf: no driver, resolver, pool
// or logger is called while it is held.
package endpoints
