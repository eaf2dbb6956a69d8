//go:build !unix

package benchmarks

import "time"

// cpuTime reports that the time is unknown.
func cpuTime() (time.Duration, bool) { return 0, false }
