// Package endpoints makes one connector of several servers: a list of hosts, all
// addresses of a name, or the SRV records of a service. A pool of it is one pool,
// with one MaxOpen, and its connections are those of the driver.
//
//	p, err := pool.Open[net.Conn]("tcp", "tcp://10.0.0.1:2485,10.0.0.2:2485?hosts_order=least_open", pool.Config{})
//
// or, for what a DSN cannot carry,
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
// [Open] and pool.Open take a list of hosts in the DSN of any driver, each with
// its port. All else in the DSN holds for every host. These parameters are taken
// out before the driver sees the DSN. With any of them, one host is enough:
//
//	hosts_order    in_order, random or least_open; the default is in_order
//	hosts_refresh  how often names are looked up again, default 30s, at least 1s;
//	               negative: the driver looks them up, and uses one of the addresses
//	hosts_share    the longest time that a Connect tries one host alone, as a part
//	               of the time it has left, default 0.25
//	hosts_srv      a service such as imaps: the hosts of the DSN are domains, without
//	               ports, whose _imaps._tcp records have the hosts and ports; their
//	               priorities and weights hold with each hosts_order
//
// A driver that reads host lists itself gets one host at a time, too. To leave the
// list to it, pass the connector of driver.OpenConnector to pool.New.
//
// # What holds
//
//  1. A Connect fails only after every endpoint has failed, has had its time, or
//     rests because of rule 4. Endpoints that failed before are tried last. They
//     are still tried: no number of failures makes all of them unusable.
//  2. An endpoint that does not answer holds up a Connect for no longer than its
//     head start. Then the next is tried beside it, and the first connection wins.
//     The other attempt is canceled, and Connect waits up to 100 ms for its end. Two
//     are tried at the same time, not more. The pool counts the two as one
//     connection. So no endpoint has more than MaxOpen connections of a pool, and all
//     together have at most one more for each Connect in progress. A driver that
//     goes on after its context has ended is not bound by that.
//  3. Each endpoint has its own backoff. While an endpoint fails, one Connect at
//     a time tries it when its rest is over. More do only if nothing better is
//     left. Connects that were in progress at the same time and fail are one failure.
//  4. An endpoint that refuses permanently (driver.Permanent) is tried once
//     a minute, and one that asks for a pause (driver.Throttled, driver.Full) after
//     that pause. If all endpoints rest for such a reason, all are tried.
//  5. The error of Connect is permanent if that of every endpoint is. It is full
//     if that of any endpoint is. It asks for a pause if every endpoint does, for
//     the shortest one.
//  6. A failed lookup changes nothing. An address that is new is used at once. One
//     that is missing gets no new connections unless all others fail, and is gone
//     if a lookup half a Refresh later does not have it either. Connections to it
//     are then replaced, the new ones first.
//  7. A connection counts for its endpoint from Connect until its Close has
//     returned.
//
// # Endpoints
//
// The head start is 4 times what the last successful Connect to the endpoint took, at
// least 250 ms, or 1 second if none has succeeded. It is never more than Share of
// the time that the Connect has left. A pool's caller may give up before that
// (driver.CallerDeadline). The head start is then no more than Share of the caller's
// time, but at least 100 ms, and twice what the last successful Connect took.
//
//	            ┌────────────► up ◄────────────┐
//	untried ────┤                              │ a Connect works
//	            └─► down, full, unfit, refused ┘
//
//	gone ◄── any, when lookups no longer have it; untried when they have it again
//
//	status   meaning                           is tried
//	untried  no Connect has ended yet          in its turn
//	up       the last Connect worked           in its turn
//	down     the last Connect failed           after 100 ms, twice as long each time, up to 10 s
//	full     it has no room (driver.Full)      likewise, or when it said
//	unfit    Want refused it                   likewise
//	refused  permanent (driver.Permanent)      after a minute
//	gone     lookups no longer have it         never
//
// An endpoint is also down when it exceeds its head start, until its Connect works, and
// when a connection to it is useless: dead at its first use (driver.Receiver). For
// a minute after that, a Connect that works begins the same rest again.
//
// With InOrder, connections go back to the first endpoint as they are replaced: after
// one MaxLifetime of the pool, all of them are there. With LeastOpen, the shares
// become even in the same way.
//
// Pool.Reset ends all rests: the next Connect tries the endpoints as if none had
// failed.
//
// Connector.State returns the state of each endpoint. Pool.Snapshot shows it too, as
// Servers.
//
// # Roles
//
// Want turns away servers of the wrong role. A server can change its role later. When
// it then refuses a request, such as a write to a primary that was demoted, the
// program calls Pool.ResetIf for the connections to that server and makes the
// request again. The failover example does that.
//
// # Names
//
// To reach each address of a name, a driver has to call driver.DialAddress. The drivers
// of this module do, and so do those made by adapt.Client.Start. Other drivers look
// the name up themselves. Their connections count for the address that their
// RemoteAddr method returns, if they have one.
//
// Names are looked up at the first Connect. While a pool is open, they are looked
// up again every Refresh, and after a failed Connect, in a goroutine of the pool.
//
// A driver checks a certificate for the host that it was given. With SRV, that is
// the host of the record: whoever can forge answers of the DNS can send the pool, and
// its password, to a server of their own. Where the DNS is not trusted, have the
// driver check for the domain, which the servers then need certificates for. The
// tls and imap drivers do so with server_name=example.org in the DSN.
//
// # Locks
//
// Connector.mu guards all that changes. It is a leaf: nothing is called under it,
// neither a driver nor a resolver, the pool or the log.
package endpoints
