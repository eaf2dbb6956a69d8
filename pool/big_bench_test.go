package pool_test

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkBig measures the operations that TestCostDoesNotGrowWithThePool compares,
// without setup and cleanup.
func BenchmarkBig(b *testing.B) {
	for _, op := range bigOps {
		for _, size := range []int{op.small, op.big} {
			b.Run(fmt.Sprintf("op=%s/size=%d", op.name, size), func(b *testing.B) {
				batch := op.open(b, size)
				took, n := time.Duration(0), 0
				for b.Loop() {
					took += batch()
					n += bigBatch
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/op")
			})
		}
	}
}
