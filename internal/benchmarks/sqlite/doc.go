// Package sqlite shows a database/sql driver in a pool of hotline, through
// adapt.OpenSQL: modernc.org/sqlite, which needs no server. It is in this module
// so that no user of hotline downloads a database.
package sqlite
