// Command report measures hotline and other pools, and writes the results as tables
// and plots to docs/benchmarks.md. Run it in the root folder of its module:
//
//	go run ./cmd/report            # 10 runs, which takes minutes
//	go run ./cmd/report -n 3
//	go run ./cmd/report -n 0       # no run: write the stored data again
//
// Each run makes every benchmark once. So other load on the machine affects all pools
// alike, and a ratio compares values from the same minute. The raw data goes to
// data/bench.txt, in the format of go test -bench, which benchstat reads. The plots
// go to plots. In docs/benchmarks.md, in the root of the repository, the lines
// between a comment "bench: NAME" and the next comment "end" are replaced.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const (
	dataFile = "data/bench.txt"
	plotDir  = "plots"
)

// document is the page with the tables.
const document = "../../docs/benchmarks.md"

func main() {
	n := flag.Int("n", 10, "number of runs; 0 writes the stored data again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *n); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run measures n times, if n is not zero, and writes tables and plots.
func run(ctx context.Context, n int) error {
	if n > 0 {
		if err := measure(ctx, n); err != nil {
			return err
		}
	}
	r, err := readResults(dataFile)
	if err != nil {
		return err
	}
	for name, chart := range charts(r) {
		if err := os.WriteFile(filepath.Join(plotDir, name+".svg"), chart.svg(), 0o644); err != nil {
			return err
		}
	}
	tables := tables(r)
	if r.err != nil {
		return r.err
	}
	return fillIn(document, tables)
}
