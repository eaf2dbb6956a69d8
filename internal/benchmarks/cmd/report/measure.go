package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// suite lists the benchmarks of one run, and how long each takes.
var suite = []struct{ pattern, benchtime string }{
	{"^Benchmark(Serial|Session|Parallel|Contended|OpenClose|Echo|TLS|IMAP)$", "300ms"},
	{"^BenchmarkIMAPOverhead$", "1s"}, // for enough turns
	{"^BenchmarkFill$", "100x"},
	{"^BenchmarkKeyed$", "3000x"},
	{"^Benchmark(Leaving|Memory|TLSMemory|IMAPMemory)$", "1x"},
}

// A keeper must run in real time, for as long as a connection waits for its ping. But
// it leaves the machine nearly idle, and CPU time is measured per process, so several
// keepers run at once.
var (
	keeperSizes = []int{1_000, 10_000, 100_000}
	keeperTime  = "30x"
)

const keepersAtOnce = 4 // of each size

// measure runs the suite and the keepers n times, and stores their output.
func measure(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp("", "hotline-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks: %w\n%s", err, out)
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "command: go run ./cmd/report -n %d\n", n)
	fmt.Fprintf(&raw, "date: %s\ngo: %s\ncores: %d\n", time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU())
	began := time.Now()
	for i := range n {
		for _, s := range suite {
			out, err := bench(ctx, binary, s.pattern, s.benchtime)
			if err != nil {
				return err
			}
			raw.Write(out)
		}
		progress(began, "run %d of %d", i+1, n)
	}
	for i := 0; i < n; i += keepersAtOnce {
		out, err := keepers(ctx, binary, min(keepersAtOnce, n-i))
		if err != nil {
			return err
		}
		raw.Write(out)
		progress(began, "keeper %d of %d", min(i+keepersAtOnce, n), n)
	}
	return os.WriteFile(dataFile, raw.Bytes(), 0o644)
}

// progress prints how far the measurement has come.
func progress(began time.Time, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s: %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// keepers runs n keepers of each size at once, and returns their output.
func keepers(ctx context.Context, binary string, n int) ([]byte, error) {
	type result struct {
		out []byte
		err error
	}
	var results []chan result
	for _, size := range keeperSizes {
		for range n {
			c := make(chan result, 1)
			results = append(results, c)
			go func() {
				out, err := bench(ctx, binary, fmt.Sprintf("^BenchmarkKeeper$/^conns=%d$", size), keeperTime)
				c <- result{out, err}
			}()
		}
	}
	var all []byte
	var errs []error
	for _, c := range results {
		r := <-c
		all = append(all, r.out...)
		errs = append(errs, r.err)
	}
	return all, errors.Join(errs...)
}

// benchTimeout limits one command, which takes about a minute. The timeout of package
// testing applies only to tests.
const benchTimeout = 5 * time.Minute

// bench runs the benchmarks that match pattern and returns their output.
func bench(ctx context.Context, binary, pattern, benchtime string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, benchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchtime)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return out, nil
}
