//go:build unix

package pool_test

import (
	"syscall"
	"time"
)

// cpuTime returns how long the process has used the processors, which other work on
// the machine does not change.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
