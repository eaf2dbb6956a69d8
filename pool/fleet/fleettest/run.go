package fleettest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotline-go/hotline/pool/fleet"
)

// Subject is the store under test.
type Subject struct {
	// Open returns a store with its own client, as in a process of its own. All stores
	// use the same engine.
	Open func(t testing.TB) fleet.Store

	// Lose makes the engine lose its state, as a flush or a restart without its data
	// does. Nil skips the rule about that.
	Lose func(t testing.TB)
}

const (
	life   = 2 * time.Second  // of rows that must expire
	longer = time.Minute      // of rows that must not
	most   = 20 * time.Second // the time limit of a rule
)

// Run tests s, with a subtest for each rule.
func Run(t *testing.T, s Subject) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel() // most of them wait
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			rule.run(&suite{t, ctx, s, s.Open(t), fmt.Sprintf("%s %x", rule.name, rand.Uint64())})
		})
	}
	if s.Lose != nil {
		t.Run("a store that lost its state says so", func(t *testing.T) { // alone: it disturbs the others
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			lose(&suite{t, ctx, s, s.Open(t), fmt.Sprintf("lose %x", rand.Uint64())})
		})
	}
}

// suite is one rule being tested, on a budget of its own.
type suite struct {
	*testing.T
	ctx    context.Context
	s      Subject
	store  fleet.Store
	budget string
}

// rules has the rules that can run at the same time.
var rules = []struct {
	name string
	run  func(s *suite)
}{
	{"a new budget is lost and has no version", newBudget},
	{"a row that was written is read, by everybody", readBack},
	{"a write for an old version changes nothing", oldVersion},
	{"a write for an old row changes nothing", oldRow},
	{"a row that does not grow needs no version", ungrown},
	{"a row is forgotten when its time has passed", expiry},
	{"a row is removed", removal},
	{"learning passes", learning},
	{"one of several writes at once succeeds", contention},
	{"budgets are independent", budgets},
	{"names may be any text", names},
	{"the end of the context ends a call", ended},
	{"any sequence does what it does in memory", sequence},
}

// pause waits before the next check of something that the engine does by its own clock,
// without a signal.
func (s *suite) pause() {
	select {
	case <-s.ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

// read is a Read that must succeed.
func (s *suite) read() fleet.Ledger {
	s.Helper()
	l, err := s.store.Read(s.ctx, s.budget)
	if err != nil {
		s.Fatalf("Read = %v", err)
	}
	slices.SortFunc(l.Rows, func(a, b fleet.Row) int { return slices.Compare([]byte(a.Owner), []byte(b.Owner)) })
	return l
}

// write is a Write for the current versions that must succeed.
func (s *suite) write(e fleet.Entry) {
	s.Helper()
	if !s.writeFor(s.read().Version, e) {
		s.Fatal("Write = false, want true: nobody else writes")
	}
}

// writeFor is a Write for the current row of the owner.
func (s *suite) writeFor(version string, e fleet.Entry) bool {
	s.Helper()
	for _, r := range s.read().Rows {
		if r.Owner == e.Owner {
			e.Version = r.Version
		}
	}
	return s.writeOn(version, e)
}

// writeOn is a Write for the row with the Version of e.
func (s *suite) writeOn(version string, e fleet.Entry) bool {
	s.Helper()
	ok, err := s.store.Write(s.ctx, s.budget, version, e)
	if err != nil {
		s.Fatalf("Write = %v", err)
	}
	return ok
}

// wantRows compares the rows, without their time and their versions.
func (s *suite) wantRows(want ...fleet.Row) {
	s.Helper()
	got := s.read().Rows
	for i := range got {
		if got[i].Version == "" {
			s.Errorf("row %+v has no version", got[i])
		}
		got[i].Left, got[i].Version = 0, ""
	}
	if !slices.Equal(got, want) {
		s.Errorf("rows are %v, want %v", got, want)
	}
}

// row returns an entry of owner that Grows and lives for longer.
func row(owner string, may, held, want int) fleet.Entry {
	return fleet.Entry{Row: fleet.Row{Owner: owner, May: may, Held: held, Want: want, Left: longer}, Grows: true}
}

// renewal is like row, but the entry does not grow.
func renewal(owner string, may int) fleet.Entry {
	e := row(owner, may, may, may)
	e.Grows = false
	return e
}

func newBudget(s *suite) {
	if l := s.read(); l.Version != "" || !l.Lost || l.Learning || len(l.Rows) > 0 {
		s.Errorf("Read = %+v, want it Lost and nothing else", l)
	}
	e := row("a", 1, 2, 3)
	e.Learn = longer
	s.write(e)
	if l := s.read(); l.Version == "" || l.Lost || !l.Learning {
		s.Errorf("Read after a Write with Learn = %+v, want a Version, Learning, and not Lost", l)
	}
	if s.writeFor("", e) {
		s.Error("Write for the empty version = true, although there is a ledger")
	}
}

func readBack(s *suite) {
	s.write(row("a", 1, 2, 3))
	s.write(row("b", 4, 5, 6))
	s.store = s.s.Open(s.T)
	s.wantRows(fleet.Row{Owner: "a", May: 1, Held: 2, Want: 3}, fleet.Row{Owner: "b", May: 4, Held: 5, Want: 6})
	for _, r := range s.read().Rows {
		if r.Left > longer || r.Left < longer-most {
			s.Errorf("Left is %v, want a little less than %v", r.Left, longer)
		}
	}
}

func oldVersion(s *suite) {
	first := s.read().Version
	s.write(row("a", 1, 1, 1))
	second := s.read().Version
	s.write(row("a", 2, 2, 2))
	for _, version := range []string{first, second, "7"} {
		if s.writeFor(version, row("a", 3, 3, 3)) {
			s.Errorf("Write for version %q = true, want false", version)
		}
	}
	s.wantRows(fleet.Row{Owner: "a", May: 2, Held: 2, Want: 2})
}

// oldRow makes Writes that arrive late: the owner has written since.
func oldRow(s *suite) {
	s.write(row("a", 1, 1, 1))
	s.write(row("b", 1, 1, 1))
	old := s.read().Rows[0].Version
	s.write(renewal("a", 1))
	version := s.read().Version
	gone := fleet.Entry{Row: fleet.Row{Owner: "a"}}
	learns := row("a", 4, 4, 4)
	learns.Learn = longer
	check := func(old ...string) {
		s.Helper()
		for _, r := range old {
			for _, e := range []fleet.Entry{gone, renewal("a", 0), renewal("a", 1), row("a", 3, 3, 3), learns} {
				if e.Version = r; s.writeOn(version, e) {
					s.Errorf("Write of %+v = true, want false", e)
				}
			}
		}
	}
	check(old, "", "x", s.read().Rows[1].Version)
	s.wantRows(fleet.Row{Owner: "a", May: 1, Held: 1, Want: 1}, fleet.Row{Owner: "b", May: 1, Held: 1, Want: 1})
	old = s.read().Rows[0].Version
	s.write(gone)
	check(old)
	s.wantRows(fleet.Row{Owner: "b", May: 1, Held: 1, Want: 1})
}

func ungrown(s *suite) {
	if s.writeFor("x", renewal("a", 0)) {
		s.Error("Write without a ledger = true, want false")
	}
	s.write(row("a", 3, 3, 3))
	old := s.read().Version
	s.write(row("b", 1, 1, 1))
	version := s.read().Version
	for _, tt := range []struct {
		e    fleet.Entry
		want bool
	}{{renewal("a", 2), true}, {renewal("c", 0), true}, {renewal("d", 1), false}, {fleet.Entry{Row: fleet.Row{Owner: "b"}}, true}} {
		if ok := s.writeFor(old, tt.e); ok != tt.want {
			s.Errorf("Write of %+v for an old version = %v, want %v", tt.e, ok, tt.want)
		}
	}
	s.wantRows(fleet.Row{Owner: "a", May: 2, Held: 2, Want: 2}, fleet.Row{Owner: "c"})
	if now := s.read().Version; now != version {
		s.Errorf("the version is %q, want still %q", now, version)
	}
}

func expiry(s *suite) {
	began := time.Now()
	e := row("a", 1, 1, 1)
	e.Left = life
	s.write(row("b", 2, 2, 2))
	s.write(e)
	for rows := 2; rows > 1; rows = len(s.read().Rows) {
		if s.ctx.Err() != nil {
			s.Fatalf("a row of %v is still there after %v", life, time.Since(began))
		}
		s.pause()
	}
	if took := time.Since(began); took < life {
		s.Errorf("a row of %v was forgotten after %v", life, took)
	}
	s.wantRows(fleet.Row{Owner: "b", May: 2, Held: 2, Want: 2})
	if s.writeFor("x", renewal("a", 1)) {
		s.Error("renewing a row that was forgotten = true, want false")
	}
	s.write(row("a", 3, 3, 3)) // remains of the old row must not affect it
	s.wantRows(fleet.Row{Owner: "a", May: 3, Held: 3, Want: 3}, fleet.Row{Owner: "b", May: 2, Held: 2, Want: 2})
}

func removal(s *suite) {
	s.write(row("a", 1, 1, 1))
	s.write(row("b", 1, 1, 1))
	s.write(fleet.Entry{Row: fleet.Row{Owner: "a"}})
	s.wantRows(fleet.Row{Owner: "b", May: 1, Held: 1, Want: 1})
	s.write(fleet.Entry{Row: fleet.Row{Owner: "b"}})
	if l := s.read(); l.Lost || l.Version == "" || len(l.Rows) > 0 {
		s.Errorf("Read after the last row = %+v, want a ledger without rows: it is not lost", l)
	}
}

func learning(s *suite) {
	e := row("a", 1, 1, 1)
	e.Learn = life
	began := time.Now()
	s.write(e)
	s.write(row("b", 1, 1, 1)) // must not end the learning
	for s.read().Learning {
		if s.ctx.Err() != nil {
			s.Fatalf("still learning after %v", time.Since(began))
		}
		s.pause()
	}
	if took := time.Since(began); took < life*9/10 {
		s.Errorf("learned for %v, want %v", took, life)
	}
}

func contention(s *suite) {
	const writers, rounds = 6, 5
	var stores [writers]fleet.Store
	for i := range stores {
		stores[i] = s.s.Open(s.T)
	}
	for range rounds {
		version := s.read().Version
		var written atomic.Int64
		var all sync.WaitGroup
		for i, store := range stores {
			all.Go(func() {
				ok, err := store.Write(s.ctx, s.budget, version, row(fmt.Sprint("owner ", i), 1, 1, 1))
				if err != nil {
					s.Errorf("Write = %v", err)
				}
				if ok {
					written.Add(1)
				}
			})
		}
		all.Wait()
		if n := written.Load(); n != 1 {
			s.Fatalf("%d of %d Writes for one version succeeded, want 1", n, writers)
		}
	}
}

func budgets(s *suite) {
	s.write(row("a", 1, 1, 1))
	first := s.budget
	s.budget += "/x"
	if l := s.read(); !l.Lost || len(l.Rows) > 0 {
		s.Errorf("Read of another budget = %+v, want it Lost", l)
	}
	s.write(row("a", 2, 2, 2))
	s.budget = first
	s.wantRows(fleet.Row{Owner: "a", May: 1, Held: 1, Want: 1})
}

func names(s *suite) {
	for _, name := range []string{"", "a b", "a/b", "/", "a:b%", "ä'\";--", "{a}", "*?[a]"} {
		s.write(row("o"+name, 1, 2, 3))
	}
	if n := len(s.read().Rows); n != 8 {
		s.Errorf("%d rows, want 8", n)
	}
	s.budget += " /'\"{ä}:*"
	s.write(row("a", 1, 1, 1))
	s.wantRows(fleet.Row{Owner: "a", May: 1, Held: 1, Want: 1})
}

func ended(s *suite) {
	s.write(row("a", 1, 1, 1))
	version := s.read().Version
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if l, err := s.store.Read(ctx, s.budget); err == nil {
		s.Errorf("Read after the end of its context = %+v, want an error", l)
	}
	if ok, err := s.store.Write(ctx, s.budget, version, row("a", 2, 2, 2)); err == nil {
		s.Errorf("Write after the end of its context = %v, want an error", ok)
	}
	s.wantRows(fleet.Row{Owner: "a", May: 1, Held: 1, Want: 1})
}

func sequence(s *suite) {
	random := rand.New(rand.NewPCG(17, rand.Uint64()))
	like := map[string]fleet.Row{}
	versions := []string{""}
	for range 100 {
		version := versions[max(len(versions)-1-random.IntN(8)/7*random.IntN(3), 0)]
		owner := string(rune('a' + random.IntN(4)))
		e := row(owner, random.IntN(20), random.IntN(20), random.IntN(20))
		if random.IntN(4) == 0 {
			e.Left, e.May = 0, 0
		}
		e.Grows = e.Left > 0 && e.May > like[owner].May
		want := version == versions[len(versions)-1] || version != "" && !e.Grows
		if ok := s.writeFor(version, e); ok != want {
			s.Fatalf("Write of %+v for version %q of %q = %v, want %v", e, version, versions, ok, want)
		}
		if want {
			if now := s.read().Version; now != versions[len(versions)-1] {
				versions = append(versions, now)
			}
			like[owner] = fleet.Row{Owner: owner, May: e.May, Held: e.Held, Want: e.Want}
			if e.Left == 0 {
				delete(like, owner)
			}
		}
		s.wantRows(slices.SortedFunc(maps.Values(like), func(a, b fleet.Row) int { return int(a.Owner[0]) - int(b.Owner[0]) })...)
	}
	slices.Sort(versions)
	if n := len(slices.Compact(versions)); n != len(versions) {
		s.Error("a version was used twice")
	}
}

func lose(s *suite) {
	s.write(row("a", 1, 1, 1))
	version := s.read().Version
	s.s.Lose(s.T)
	for { // the client may first have to notice that the engine was down
		l, err := s.store.Read(s.ctx, s.budget)
		if err == nil && l.Lost {
			break
		}
		if s.ctx.Err() != nil {
			s.Fatalf("the store does not notice that it lost its state: Read = %+v, %v", l, err)
		}
		s.pause()
	}
	e := row("b", 1, 1, 1)
	e.Learn = life
	for _, e := range []fleet.Entry{row("a", 2, 2, 2), renewal("a", 1), row("c", 1, 1, 1)} {
		if s.writeFor(version, e) {
			s.Errorf("Write of %+v for a version from before the loss = true, want false", e)
		}
	}
	s.write(e)
	if l := s.read(); l.Lost || !l.Learning {
		s.Errorf("Read after a Write with Learn = %+v, want it Learning and not Lost", l)
	}
}
