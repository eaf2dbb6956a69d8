package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const printedMail = `
BenchmarkIMAP/rtt=0ms/conn=pool-2               1000   200000 ns/op
BenchmarkIMAP/rtt=0ms/conn=login-2               100   4000000 ns/op
BenchmarkIMAP/rtt=40ms/conn=pool-2                 8   40000000 ns/op
BenchmarkIMAP/rtt=40ms/conn=login-2                2   240000000 ns/op
BenchmarkIMAPOverhead/request=fetch-2           1000   200000 bare-ns   204000 pool-ns   208000 do-ns
BenchmarkIMAPOverhead/request=noop-2            1000   100000 bare-ns   103000 pool-ns   104000 do-ns
BenchmarkIMAPMemory/tls=none/conn=bare-2           1   18000 B/conn   1.00 goroutines/conn
BenchmarkIMAPMemory/tls=none/conn=pool-2           1   20000 B/conn   1.02 goroutines/conn
BenchmarkIMAPMemory/tls=implicit/conn=bare-2       1   26000 B/conn   1.00 goroutines/conn
BenchmarkIMAPMemory/tls=implicit/conn=pool-2       1   27000 B/conn   1.02 goroutines/conn
`

func TestMailIsComparedWithGoIMAPAlone(t *testing.T) {
	r := read(t, printedMail)
	tables := mailTables(r)
	assert.Equal(t, `![Time of a FETCH](../internal/benchmarks/plots/mail.svg)

| one client | loopback | relative to the first | round trip of 40 ms | relative to the first |
|---|--:|--:|--:|--:|
| hotline, imap driver, Do | 200 µs | 1.00 | 40.0 ms | 1.00 |
| a login for each request, go-imap alone | 4.00 ms | 20.0 | 240 ms | 6.00 |
`, tables["mail"])
	assert.Equal(t, `| one client | FETCH of 4 KiB | relative to the first | NOOP | relative to the first |
|---|--:|--:|--:|--:|
| go-imap alone | 200 µs | 1.00 | 100 µs | 1.00 |
| hotline, imap driver | 204 µs | 1.02 | 103 µs | 1.03 |
| hotline, imap driver, Do | 208 µs | 1.04 | 104 µs | 1.04 |
`, tables["mailkept"])
	assert.Equal(t, `| per idle connection | plain text | goroutines | TLS | goroutines |
|---|--:|--:|--:|--:|
| go-imap alone | 18000 B | 1.00 | 26000 B | 1.00 |
| hotline, imap driver | 20000 B | 1.02 | 27000 B | 1.02 |
`, tables["mailmem"])
	var marks []bool
	for _, g := range mailGoals(r) {
		marks = append(marks, g.met())
	}
	assert.Equal(t, []bool{true, false, true, false}, marks)
	require.NoError(t, r.err)
}

func TestWithoutDovecotMailIsReportedAsNotMeasured(t *testing.T) {
	r := read(t, printed)
	tables := mailTables(r)
	assert.Len(t, tables, 3)
	for name, table := range tables {
		assert.Equal(t, "(not measured: Dovecot is not installed)\n", table, name)
	}
	assert.NotContains(t, charts(r), "mail", "the plot")
	r.err = nil // of all the other plots
	goals := mailGoals(r)
	assert.Len(t, goals, 4)
	require.NoError(t, r.err)
	assert.Contains(t, reachTable(goals), "| NOOP by IMAP, hotline, imap driver: time relative to go-imap alone | at most 1.030 | not measured: Dovecot is not installed |  |\n")
}

func TestADistantServerHasAGroupOfItsOwnInThePlot(t *testing.T) {
	c := mailDistances.chart(read(t, printedMail))
	require.Len(t, c.groups, 2)
	assert.Equal(t, group{"round trip of 40 ms", []row{
		{label: "hotline, imap driver, Do", at: 40e6, from: 40e6, to: 40e6, ours: true},
		{label: "a login for each request, go-imap alone", at: 240e6, from: 240e6, to: 240e6},
	}}, c.groups[1])
}
