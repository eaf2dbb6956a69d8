package fleettest_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/fleet/fleettest"
)

// broken is a store in memory with a fault.
type broken struct {
	fleet.Memory
	read  func(*fleet.Ledger)                                                         // changes what is read
	write func(ctx *context.Context, budget *string, version *string, e *fleet.Entry) // changes what is written
	lock  sync.Mutex
}

func (b *broken) Read(ctx context.Context, budget string) (fleet.Ledger, error) {
	b.change(&ctx, &budget, new(string), new(fleet.Entry))
	l, err := b.Memory.Read(ctx, budget)
	if b.read != nil {
		b.read(&l)
	}
	return l, err
}

func (b *broken) Write(ctx context.Context, budget, version string, e fleet.Entry) (bool, error) {
	b.change(&ctx, &budget, &version, &e)
	l, err := b.Memory.Read(ctx, budget)
	if err != nil {
		return false, err
	}
	if version == "any" {
		version = l.Version
	}
	if i := slices.IndexFunc(l.Rows, func(r fleet.Row) bool { return r.Owner == e.Owner }); i >= 0 && e.Version == "any" {
		e.Version = l.Rows[i].Version
	}
	return b.Memory.Write(ctx, budget, version, e)
}

func (b *broken) change(ctx *context.Context, budget, version *string, e *fleet.Entry) {
	if b.write != nil {
		b.lock.Lock()
		defer b.lock.Unlock()
		b.write(ctx, budget, version, e)
	}
}

// faults are stores with one fault each, by the rule that finds it.
var faults = map[string]*broken{
	"a new budget is lost and has no version": {read: func(l *fleet.Ledger) { l.Lost = false }},
	"a row that was written is read, by everybody": {read: func(l *fleet.Ledger) {
		for i := range l.Rows {
			l.Rows[i].Held = l.Rows[i].May
		}
	}},
	"a write for an old version changes nothing": {write: func(_ *context.Context, _, version *string, _ *fleet.Entry) { *version = "any" }},
	"a write for an old row changes nothing":     {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) { e.Version = "any" }},
	"a row that does not grow needs no version":  {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) { e.Grows = e.May > 0 }},
	"a row is forgotten when its time has passed": {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) {
		e.Left /= 2
	}},
	"a row is removed":                       {read: func(l *fleet.Ledger) { l.Lost = len(l.Rows) == 0 }},
	"learning passes":                        {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) { e.Learn /= 2 }},
	"one of several writes at once succeeds": {write: func(_ *context.Context, _, version *string, _ *fleet.Entry) { *version = "any" }},
	"budgets are independent":                {write: func(_ *context.Context, budget, _ *string, _ *fleet.Entry) { *budget, _, _ = strings.Cut(*budget, "/") }},
	"names may be any text": {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) {
		e.Owner = strings.NewReplacer(" ", "", "/", "").Replace(e.Owner)
	}},
	"the end of the context ends a call":       {write: func(ctx *context.Context, _, _ *string, _ *fleet.Entry) { *ctx = context.Background() }},
	"any sequence does what it does in memory": {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) { e.Left = max(e.Left, time.Second) }},
	"a store that lost its state says so":      {write: func(_ *context.Context, _, _ *string, e *fleet.Entry) { e.Learn = 0 }},
}

// whichFault is the environment variable that selects the fault for this process.
const whichFault = "HOTLINE_FLEETTEST_FAULT"

func TestEachRuleFindsAFault(t *testing.T) {
	if fault := os.Getenv(whichFault); fault != "" {
		b := faults[fault]
		fleettest.Run(t, fleettest.Subject{Open: func(testing.TB) fleet.Store { return b }, Lose: func(testing.TB) { b.Lose() }})
		return
	}
	for rule := range faults {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(rule, " ", "_")
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=50s", "-test.run=^TestEachRuleFindsAFault$/^"+name+"$")
			command.Env = append(os.Environ(), whichFault+"="+rule)
			out, err := command.CombinedOutput()
			assert.Error(t, err)
			assert.Contains(t, string(out), "--- FAIL: TestEachRuleFindsAFault/"+name)
		})
	}
}
