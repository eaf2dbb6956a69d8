package benchmarks

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// A comparison is worthless if one pool opens more connections than the others may, or
// makes a new one for each use.
func TestAllTargetsKeepTheLimitAndReuseConnections(t *testing.T) {
	const size, clients, uses = 3, 12, 50
	for _, c := range append(candidates, candidate{"bare-channel", openBare}) {
		t.Run(c.name, func(t *testing.T) {
			var made, held, most atomic.Int64
			target := c.open(t, size, func() *conn { made.Add(1); return newConn() })
			defer target.close()
			warm(t, target, size)
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for range uses {
						assert.NoError(t, target.use(context.Background(), func() {
							most.Store(max(most.Load(), held.Add(1)))
							<-time.After(10 * time.Microsecond)
							held.Add(-1)
						}))
					}
				})
			}
			all.Wait()
			require.EqualValues(t, size, made.Load(), "connections made")
			require.LessOrEqual(t, most.Load(), int64(size), "connections held at a time")
		})
	}
}

func TestAllTargetsObeyTheContextWhileTheyWait(t *testing.T) {
	for _, c := range candidates {
		t.Run(c.name, func(t *testing.T) {
			target := c.open(t, 1, newConn)
			defer target.close()
			require.NoError(t, target.use(context.Background(), func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				assert.Error(t, target.use(ctx, nil), "the only connection is in use")
			}))
			assert.NoError(t, target.use(context.Background(), nil))
		})
	}
}
