package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool/fleet"
)

func TestFleetShowsWhoHasWhat(t *testing.T) {
	store := &fleet.Memory{}
	fleet.Register("ledger", func(string) (fleet.Store, error) {
		return store, nil
	})
	r := hotline(t.Context(), "fleet", "ledger://host/depot")
	assert.Equal(t, "budget \"depot\": 0 granted to 0 owners; not used yet\n", r.out)

	_, err := store.Write(t.Context(), "depot", "", fleet.Entry{Row: fleet.Row{Owner: "b/7", May: 5, Held: 4, Want: 9, Left: time.Hour}, Learn: time.Hour})
	require.NoError(t, err)
	l, err := store.Read(t.Context(), "depot")
	require.NoError(t, err)
	_, err = store.Write(t.Context(), "depot", l.Version, fleet.Entry{Row: fleet.Row{Owner: "a/1", May: 3, Held: 3, Want: 2, Left: time.Hour}, Grows: true})
	require.NoError(t, err)
	r = hotline(t.Context(), "fleet", "ledger://host/depot?limit=10")
	assert.Regexp(t, `^budget "depot": 8 of 10 granted to 2 owners; the store is learning who has connections and grants no more
 +owner +granted +held +wants +share +forgotten in
 +"a/1" +3 +3 +2 +2 +(1h0m0s|59m\S+s)
 +"b/7" +5 +4 +9 +8 +(1h0m0s|59m\S+s)
$`, r.out)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = hotline(ctx, "fleet", "--watch", "ledger://host/depot")
	r.wantSuccess(t)
	r = hotline(ctx, "fleet", "ledger://host/depot")
	r.wantFailure(t, exitFailed, "interrupted")
}

func TestFleetNamesTheStoresThatItIsBuiltWith(t *testing.T) {
	for dsn, want := range map[string]string{
		"redis://u:s3cr3t@host":            "fleet: no budget; want its name as the last part of the path",
		"u:s3cr3t@host/depot":              "the budget has no scheme; want a URL such as 'redis://10.0.0.5/gmail-ada?limit=15'; see hotline fleet --help",
		"postgres://u:s3cr3t@host/d/depot": `no store for "postgres"; this command is built with redis, rediss; examples/fleet/show has all; see hotline fleet --help`,
		"etcd://u:s3cr3t@host/depot":       `no store for "etcd"; this command is built with redis, rediss; examples/fleet/show has all; see hotline fleet --help`,
	} {
		r := hotline(t.Context(), "fleet", dsn)
		r.wantFailure(t, exitUsage, want)
		assert.NotContains(t, r.err, "s3cr3t")
	}
}
