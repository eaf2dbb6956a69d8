// Package drivertest is for those who write drivers, and for those who test
// programs that use them.
//
// [Fake] is a driver and its server in memory. It does what the test scripts,
// counts what the pool does, and watches it.
package drivertest
