//go:build linux

package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

// BenchmarkGrant measures a renewal: a Read and a Write, while no other process writes.
func BenchmarkGrant(b *testing.B) {
	for _, e := range engines {
		b.Run("engine="+e.name, func(b *testing.B) {
			store := e.open(b, e.start(b).Addr)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				l, err := store.Read(b.Context(), "depot")
				require.NoError(b, err)
				_, err = store.Write(b.Context(), "depot", l.Version, fleet.Entry{Row: fleet.Row{Owner: "a", May: 1, Held: 1, Want: 1, Left: time.Minute}})
				require.NoError(b, err)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkFleet measures the cost of many processes for one Redis. Each process wants
// more than it gets, which is the worst case. An iteration takes a second.
func BenchmarkFleet(b *testing.B) {
	for _, at := range []struct{ processes, budgets int }{{100, 1}, {1000, 1}, {1000, 100}} {
		b.Run(fmt.Sprintf("processes=%d/budgets=%d", at.processes, at.budgets), func(b *testing.B) {
			s := engines[0].start(b)
			ctx, cancel := context.WithCancel(b.Context())
			var gates []*fleet.Gate
			var callers sync.WaitGroup
			for i := range at.processes {
				g, err := fleet.Open(fmt.Sprintf("redis://%s/depot%d?limit=%d", s.Addr, i%at.budgets, limit))
				require.NoError(b, err)
				gates = append(gates, g)
				for range limit {
					callers.Go(func() {
						if p, err := g.Enter(ctx, nobody{}); err == nil {
							<-ctx.Done()
							p.Leave()
						}
					})
				}
			}
			time.Sleep(25 * time.Second) // until the store has learned, and all have their shares
			cpu, before := used(b, s.Addr), total(gates)
			for b.Loop() {
				time.Sleep(time.Second)
			}
			seconds := b.Elapsed().Seconds()
			after := total(gates)
			b.ReportMetric(100*(used(b, s.Addr)-cpu)/seconds, "%cpu-of-the-store")
			b.ReportMetric(float64(after.Renewals-before.Renewals)/seconds, "renewals/s")
			b.ReportMetric(float64(after.Conflicts-before.Conflicts)/seconds, "conflicts/s")
			cancel()
			callers.Wait()
			for _, g := range gates {
				go g.Close()
			}
		})
	}
}

// nobody is a member without a pool.
type nobody struct{}

func (nobody) Yield(int) int  { return 0 }
func (nobody) String() string { return "nobody" }

var _ pool.Member = nobody{}

func total(gates []*fleet.Gate) (sum pool.BudgetStats) {
	for _, g := range gates {
		s := g.Stats()
		sum.Renewals += s.Renewals
		sum.Conflicts += s.Conflicts
	}
	return sum
}

// used returns the CPU time of a Redis, in seconds.
func used(b *testing.B, addr string) float64 {
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	text, err := client.Info(context.Background(), "cpu").Result()
	require.NoError(b, err)
	return number(text, "used_cpu_sys") + number(text, "used_cpu_user")
}

// number returns the number after name in text.
func number(text, name string) (v float64) {
	_, after, _ := strings.Cut(text, "\n"+name+":")
	_, _ = fmt.Sscan(after, &v)
	return v
}
