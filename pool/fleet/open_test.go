package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

// opened is the DSN of the last store opened for the scheme ledger.
var opened string

func init() {
	fleet.Register("ledger", func(dsn string) (fleet.Store, error) {
		opened = dsn
		if dsn == "ledger://u:s3cr3t@bad" {
			return nil, fmt.Errorf("can't use %s", dsn)
		}
		return &closing{}, nil
	})
}

// closing is a store that can be closed.
type closing struct{ fleet.Memory }

// closed is how many of these stores were closed.
var closed int

func (*closing) Close() error {
	closed++
	return nil
}

func TestGatesOfOneStoreShareItAndTheLastClosesIt(t *testing.T) {
	opened, closed = "", 0
	open := func(text string) *fleet.Gate {
		g, err := fleet.Open("ledger://u:pw@host/" + text)
		require.NoError(t, err)
		return g
	}
	a := open("a?limit=1")
	assert.Equal(t, "ledger://u:pw@host", opened)
	opened = ""
	b := open("b?limit=2")
	assert.Empty(t, opened, "they share the store")
	_, err := fleet.Open("ledger://u:pw@host/c")
	assert.ErrorContains(t, err, "Limit is 0")
	c := open("c?limit=3&more=yes")
	assert.Equal(t, "ledger://u:pw@host?more=yes", opened, "another store")
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	assert.Zero(t, closed)
	require.NoError(t, b.Close())
	assert.Equal(t, 1, closed)
	require.NoError(t, c.Close())
	assert.Equal(t, 2, closed)
	_, err = fleet.Open("ledger://u:pw@host/c")
	assert.ErrorContains(t, err, "Limit is 0")
	assert.Equal(t, 3, closed, "nobody uses it")
}

func TestADSNHasTheBudgetItsSettingsAndTheStore(t *testing.T) {
	_, cfg, err := fleet.OpenStore("ledger://u:pw@host:99/2/gmail%20ada?limit=15&ttl=3s&grace=-1s&spare=2&floor=1&strict=false&tls=on")
	require.NoError(t, err)
	assert.Equal(t, fleet.Config{Budget: "gmail ada", Limit: 15, TTL: 3 * time.Second, Grace: -time.Second, Spare: 2, Floor: 1}, cfg)
	assert.Equal(t, "ledger://u:pw@host:99/2?tls=on", opened)
	for text, want := range map[string]string{
		"ledger://u:s3cr3t@host":                    "fleet: no budget; want its name",
		"ledger://u:s3cr3t@host/?limit=3":           "fleet: no budget; want its name",
		"ledger://u:s3cr3t@host/b":                  "fleet: Limit is 0; want 1 or more",
		"ledger://u:s3cr3t@host/b?limit=0":          `fleet: dsn: parameter limit="0": want`,
		"ledger://u:s3cr3t@host/b?limit=3&ttl=1ms":  `fleet: dsn: parameter ttl="1ms": want`,
		"ledger://u:s3cr3t@bad/b?limit=3":           "fleet: ",
		"lager://u:s3cr3t@host/b?limit=3":           `fleet: no store is registered for "lager"; import its package`,
		"s3cr3t":                                    "fleet: dsn: no scheme",
		"ledger://u:s3cr3t@host/b?limit=3&strict=x": `fleet: dsn: parameter strict="x": want`,
	} {
		g, err := fleet.Open(text)
		assert.Nil(t, g)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
}

func TestPoolsWithOneBudgetDSNShareItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := drivertest.NewFake(t)
		budget := "&pool_budget=" + url.QueryEscape(fmt.Sprint("ledger://host/depot", rand.Int(), "?limit=3&ttl=1s")) // not used by an earlier run
		var cfg [2]pool.Config
		for i := range cfg {
			_, err := cfg[i].CutDSN("depot://?x=y" + budget)
			require.NoError(t, err)
			cfg[i].AcquireTimeout = -1
		}
		assert.Same(t, cfg[0].Gate, cfg[1].Gate)
		var release []func()
		w := &world{T: t, server: f}
		for _, c := range cfg {
			p, err := pool.New[*conn](f, c)
			require.NoError(t, err)
			defer p.Close()
			release = append(release, w.acquire(&process{Pool: p}, 1))
		}
		assert.Equal(t, 2, cfg[0].Gate.(pool.BudgetGate).Stats().Used)
		for _, r := range release {
			r()
		}
	}) // the bubble fails if a goroutine of the gate is left: Close of the second pool must end it
}
