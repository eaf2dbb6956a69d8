// Package hotline is database/sql for every protocol: register a protocol's
// driver by name, open a pool with a DSN, and borrow live, checked, typed
// connections from it.
//
//	import (
//		"github.com/hotline-go/hotline/pool"
//		_ "github.com/hotline-go/hotline/drivers/tcp"
//	)
//
//	p, err := pool.Open[net.Conn]("tcp", "tcp://127.0.0.1:2485", pool.Config{})
//
// This package holds no code. Programs import pool and a driver. The other packages:
//
//   - retry runs a function again where that is safe.
//   - driver is the interface that drivers implement.
//   - conn has the parts that most drivers need.
//   - driver/drivertest tests drivers, and helps to test programs that use them.
package hotline
