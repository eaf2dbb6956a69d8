package main

// Mail is measured if Dovecot is installed. Otherwise its tables and goals say that
// it was not.

var mailDistances = distances{
	bench: "IMAP",
	title: "FETCH of a mail of 4 KiB from Dovecot",
	rtts:  []int{0, 40},
	ways: []way{
		{"pool", "hotline, imap driver, Do"},
		{"login", "a login for each request, go-imap alone"},
	},
}

// The contenders that take turns on connections that are kept, go-imap alone first,
// and their requests.
var (
	mailWays = []way{
		{"bare-ns", "go-imap alone"},
		{"pool-ns", "hotline, imap driver"},
		{"do-ns", "hotline, imap driver, Do"},
	}
	mailRequests = []struct{ key, name string }{{"fetch", "FETCH of 4 KiB"}, {"noop", "NOOP"}}
)

const noMail = "not measured: Dovecot is not installed"

func hasMail(r *results) bool { return r.has("IMAPOverhead/request=fetch") }

// mailTables returns the tables by name.
func mailTables(r *results) map[string]string {
	all := map[string]func(*results) string{"mail": mailTable, "mailkept": mailKeptTable, "mailmem": mailMemoryTable}
	tables := map[string]string{}
	for name, table := range all {
		tables[name] = "(" + noMail + ")\n"
		if hasMail(r) {
			tables[name] = table(r)
		}
	}
	return tables
}

// mailTable includes the plot, which exists only if mail was measured.
func mailTable(r *results) string {
	return "![Time of a FETCH](../internal/benchmarks/plots/mail.svg)\n\n" + mailDistances.table(r)
}

// mailKept returns how long a request takes, in nanoseconds, and the ratio to the
// first way.
func mailKept(r *results, request string, w way) (ns, ratio []float64) {
	bench := "IMAPOverhead/request=" + request
	ns = r.get(bench, w.key)
	return ns, ratios(ns, r.get(bench, mailWays[0].key))
}

func mailKeptTable(r *results) string {
	titles := []string{"one client"}
	for _, request := range mailRequests {
		titles = append(titles, request.name, "relative to the first")
	}
	var rows [][]string
	for _, w := range mailWays {
		row := []string{w.name}
		for _, request := range mailRequests {
			ns, ratio := mailKept(r, request.key, w)
			row = append(row, spread(summarize(ns), duration), spread(summarize(ratio), times))
		}
		rows = append(rows, row)
	}
	return table(titles, rows)
}

func mailMemoryTable(r *results) string {
	var rows [][]string
	for _, w := range []way{{"bare", "go-imap alone"}, {"pool", "hotline, imap driver"}} {
		row := []string{w.name}
		for _, tls := range []string{"none", "implicit"} {
			bench := "IMAPMemory/tls=" + tls + "/conn=" + w.key
			row = append(row, spread(summarize(r.get(bench, "B/conn")), inBytes), spread(summarize(r.get(bench, "goroutines/conn")), times))
		}
		rows = append(rows, row)
	}
	return table([]string{"per idle connection", "plain text", "goroutines", "TLS", "goroutines"}, rows)
}

// mailGoals limit the cost of a pool relative to go-imap alone.
func mailGoals(r *results) []goal {
	var goals []goal
	for _, request := range mailRequests {
		for _, w := range mailWays[1:] {
			g := goal{what: request.name + " by IMAP, " + w.name + ": time relative to go-imap alone", most: 1.03, format: closely, absent: noMail}
			if hasMail(r) {
				_, g.measured = mailKept(r, request.key, w)
			}
			goals = append(goals, g)
		}
	}
	return goals
}
