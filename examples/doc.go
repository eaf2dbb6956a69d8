// Package examples has drivers for some client libraries, each made with package
// driver/adapt in at most 45 lines and tested against the real server.
//
//	redis      github.com/gomodule/redigo
//	memcached  a small client of its own
//	smtp       net/smtp
//	ldap       github.com/go-ldap/ldap/v3
//	ssh        golang.org/x/crypto/ssh
//	ftp        github.com/jlaffaye/ftp
//	postgres   github.com/jackc/pgx/v5, and any driver of database/sql
//
// Most of them have a whole program in their folder program. It reads lines and does
// something with each. Program and driver together have at most 100 lines. Two more
// programs stand alone: lines has a driver for a line-based protocol in the same file, and
// mailworker handles many mail accounts with package keyed.
//
//	cd examples
//	echo to be or not to be | DSN=redis://127.0.0.1 go run ./redis/program
//
// Copy the folder closest to your protocol. driver.go is the driver. Its test runs the
// conformance suite of package drivertest against the server, and then a storm: 40
// workers on a pool as large as the server's own limit, while the network misbehaves
// and the server is killed.
//
// Folder prometheus runs a Prometheus server that scrapes pools, and checks their
// dashboard and their alert rules. Folder observe shows a pool on a page, in Prometheus,
// in OpenTelemetry and in slog.
//
// It is a separate module, so that users of the pool don't download these libraries.
// The servers come from Debian packages. A test whose server is not installed is
// skipped, or fails if HOTLINE_SERVERS=required is in the environment.
package examples
