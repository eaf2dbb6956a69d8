// Package sqlite tests a database/sql driver in a pool of hotline, through
// adapt.OpenSQL. The driver is modernc.org/sqlite, which needs no server. The package
// is in this module so that no user of hotline downloads a database.
package sqlite
