// Package benchmarks measures hotline beside other pools, at the same settings
// and in one run. It is a module of its own, so that no user of hotline
// downloads the others. BENCHMARKS.md shows the results.
//
// One command measures everything, stores the raw data in data, and writes the
// tables and plots:
//
//	go run ./cmd/report
//
// The raw data has the format of go test -bench, which benchstat reads. A
// single case, and all of them just to see that they still work:
//
//	go test -run '^$' -bench 'Parallel/pool=(hotline|puddle)' -count 10 .
//	go test -bench . -benchtime 1x ./...
//
// # What is compared
//
//	channel       a buffered channel of connections, as people write it by
//	              hand: receive or the end of the context, then send
//	bare-channel  the same without the context, the cost of the channel itself
//	sql           database/sql, with a driver that does nothing
//	puddle        jackc/puddle/v2, the pool in pgx
//	redigo        gomodule/redigo, with a connection that does nothing
//	commons       jolestar/go-commons-pool/v2
//
// Each has as many connections as the case says and opens no others, waits when
// all are in use, and closes idle connections after 5 minutes and old ones
// after 30 where it can. Hotline has KeepAlive and ValidateAfter besides, and
// no hooks. The connection is the same in all: it does nothing, so that only
// the pool is measured.
//
// The pool of go-redis is in an internal package, so nobody else can import it.
// That of Vitess imports the command-line flags and errors of Vitess, and with
// them gRPC and protobuf, which is too much for a comparison.
//
// # Mail
//
// The imap driver is compared with a client of go-imap alone, both on a Dovecot
// that the benchmarks start (package mailserver). Where that can't be, they are
// skipped, and BENCHMARKS.md says so.
package benchmarks
