package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver/endpoints"
	"github.com/hotline-go/hotline/internal/secrettest"
	"github.com/hotline-go/hotline/pool"
)

// Whatever the password and the form of the DSN, the password does not appear in an
// error, the log, a Trace, a snapshot, a stack or the profile of leases. The test of the
// status page covers DSNs with several hosts: the pool looks up their names, which is not
// possible in a bubble.
func FuzzNoSecretIsInATraceAStackOrTheProfile(f *testing.F) {
	secrettest.Fuzz(f, func(t *testing.T, dsn, secret string) {
		if c, err := endpoints.Open(secrettest.Name, dsn, logr.Discard()); err == nil {
			if _, several := c.(interface{ State() []endpoints.State }); several {
				return
			}
		}
		synctest.Test(t, func(t *testing.T) {
			check := func(what string, v any) { secrettest.Check(t, secret, what, v) }
			p, err := pool.Open[secrettest.Conn](secrettest.Name, dsn, pool.Config{
				MaxOpen: 1, AcquireTimeout: 5 * time.Second, LeakAfter: time.Second, Trace: tracer(func(v any) { check("the trace", v) }),
				Logger: funcr.New(func(_, args string) { check("the log", args) }, funcr.Options{Verbosity: 9}),
			})
			if err != nil {
				check("the error of Open", err)
				return
			}
			acquire := func() pool.Lease[secrettest.Conn] {
				l, err := p.Acquire(t.Context())
				check("the error of Acquire", err)
				advance(3 * time.Second) // the lease counts as leaked, so the next one has a stack
				check("a lease", l)
				check("the leases", p.Holders())
				check("the snapshot", p.Snapshot())
				check("the profile", profileText(t))
				return l
			}
			for range 3 {
				l := acquire()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err = p.Acquire(ctx)
				check("the error of a second Acquire", err)
				cancel()
				l.Discard(errors.New("over"))
			}
			check("the pool", p)
			assert.NoError(t, p.Close())
			check("the snapshot of a closed pool", p.Snapshot())
		})
	})
}
