//go:build !unix

package benchmarks

import "time"

// cpuTime reports that it does not know.
func cpuTime() (time.Duration, bool) { return 0, false }
