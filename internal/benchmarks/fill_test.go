package benchmarks

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

// BenchmarkFill measures how long it takes to open 20 connections over loopback TCP: in
// a new pool, and in a loop that dials.
func BenchmarkFill(b *testing.B) {
	const size = 20
	addr := serveEcho(b)
	b.Run("size=20", func(b *testing.B) {
		b.Run("by=hotline", func(b *testing.B) {
			for b.Loop() {
				p := openTCP(b, addr, pool.Config{MaxOpen: size, MinIdle: size, KeepAlive: keepAlive})
				require.NoError(b, p.Ready(context.Background()))
				b.StopTimer()
				require.NoError(b, p.Close())
				b.StartTimer()
			}
		})
		b.Run("by=loop", func(b *testing.B) {
			for b.Loop() {
				conns := make([]net.Conn, size)
				for i := range conns {
					conns[i] = dial(b, addr)
				}
				b.StopTimer()
				for _, c := range conns {
					require.NoError(b, c.Close())
				}
				b.StartTimer()
			}
		})
	})
}
