package pool_test

import "time"

var processStart = time.Now()

// cpuTime returns the time since the start of the process.
func cpuTime() time.Duration { return time.Since(processStart) }
