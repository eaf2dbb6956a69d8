// Package benchmarks compares hotline with other pools, with the same settings and in
// one run. It has its own module, so that users of hotline do not download the others.
// docs/benchmarks.md shows the results.
//
// One command measures everything, stores the raw data in data, and writes the
// tables and plots:
//
//	go run ./cmd/report
//
// The raw data has the format of go test -bench, which benchstat reads. To run a single
// case, or to run each case once as a check:
//
//	go test -run '^$' -bench 'Parallel/pool=(hotline|puddle)' -count 10 .
//	go test -bench . -benchtime 1x ./...
//
// # What is compared
//
//	channel       a buffered channel of connections, as people write it by
//	              hand: receive, unless the context ends, and then send
//	bare-channel  the same without the context: the cost of the channel alone
//	sql           database/sql, with a driver that does nothing
//	puddle        jackc/puddle/v2, the pool in pgx
//	redigo        gomodule/redigo, with a connection that does nothing
//	commons       jolestar/go-commons-pool/v2
//
// Each pool has exactly the number of connections in the case, waits when all are in
// use, and closes idle connections after 5 minutes and old ones after 30, if it can.
// Hotline also has KeepAlive and ValidateAfter, and no hooks. All use the same
// connection, which does nothing, so that only the pool is measured.
//
// The pool of go-redis is in an internal package, so it can't be imported. The pool of
// Vitess imports the command-line flags and errors of Vitess, and with them gRPC and
// protobuf, which is too much for a comparison.
//
// # Mail
//
// The imap driver is compared with a plain go-imap client, both on a Dovecot that the
// benchmarks start (package mailserver). Without Dovecot, these benchmarks are skipped,
// and docs/benchmarks.md says so.
package benchmarks
