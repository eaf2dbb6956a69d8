//go:build unix

package benchmarks

import (
	"syscall"
	"time"
)

// cpuTime returns the time that the process has spent on all cores, including the
// kernel.
func cpuTime() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
