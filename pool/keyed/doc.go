// Package keyed keeps a pool of connections for each key, such as a mail account, a
// host or a tenant, with one limit over all of them.
//
//	mail, err := keyed.Open[string, *imap.Conn](connectorFor, keyed.Config[string]{MaxOpen: 500})
//	if err != nil {
//		return err
//	}
//	defer mail.Close()
//
//	err = mail.Do(ctx, "ada@example.org", func(ctx context.Context, c *imap.Conn) error {
//		...
//	})
//
// connectorFor returns the driver.Connector for a key, with the host, user and password
// of that key.
//
// # Guarantees
//
//   - The servers never see more than MaxOpen connections over all keys, and never more
//     for one key than its own MaxOpen. If a forgotten key is used again, the
//     connections of its last pool count until they are closed.
//   - At the limit, the key with the fewest connections is served first; among equals,
//     the one that has waited longest. To make room for a key without a connection, an
//     idle connection of another key is closed. If none is idle, the next connection
//     released anywhere is closed. A key that has connections, but fewer than its fair
//     share (max-min), waits as long as connecting takes, at most 250 ms, before another
//     key has to give one up. For the same time, an idle connection is kept for callers
//     of its own key.
//   - MinIdle never takes a connection from another key.
//   - A wrong password, an outage, a full server and the backoff affect only their key.
//   - A key that nobody uses is forgotten after IdleAfter, and then costs nothing.
//     Callers do not notice: one that arrives at that moment gets a new pool of the key.
//
// # Cost
//
// Each key has its own [pool.Pool] of about 4 kB, with no goroutine while nothing
// connects. Acquire finds it without a lock or an allocation
// (go test ./pool/keyed -bench Warm -run Memory -v).
//
// If more keys than MaxOpen want connections, many uses have to connect: a key without
// a connection gets one only when another key gives one up. Raise MaxOpen if
// Closed.Yielded in Stats grows as fast as Acquires.
package keyed
