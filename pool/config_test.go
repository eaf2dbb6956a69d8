package pool_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// Each wrong setting is reported with its name, its value and the allowed values.
var wrong = map[string]struct {
	cfg  pool.Config
	want string
}{
	"MaxOpen":                  {pool.Config{MaxOpen: -1}, "pool: MaxOpen is -1; want 1 or more (0 means 10)"},
	"MinIdle":                  {pool.Config{MinIdle: -2}, "pool: MinIdle is -2; want 0 or more"},
	"MinIdle above MaxOpen":    {pool.Config{MaxOpen: 3, MinIdle: 4}, "pool: MinIdle is 4; want at most MaxOpen, which is 3"},
	"MinIdle above default":    {pool.Config{MinIdle: 11}, "pool: MinIdle is 11; want at most MaxOpen, which is 10"},
	"MaxIdle below MinIdle":    {pool.Config{MinIdle: 3, MaxIdle: 2}, "pool: MaxIdle is 2; want at least MinIdle, which is 3 (0 means MaxOpen, negative means none)"},
	"MinIdle, none kept":       {pool.Config{MinIdle: 1, MaxIdle: -1}, "pool: MaxIdle is -1; want at least MinIdle, which is 1 (0 means MaxOpen, negative means none)"},
	"ConnectTimeout":           {pool.Config{ConnectTimeout: -time.Second}, "pool: ConnectTimeout is -1s; want more than 0 (0 means 10s)"},
	"MaxConnecting":            {pool.Config{MaxConnecting: -1}, "pool: MaxConnecting is -1; want 0 or more (0 means 8)"},
	"PingTimeout":              {pool.Config{PingTimeout: -1}, "pool: PingTimeout is -1ns; want more than 0 (0 means 1s): a check must end"},
	"LifetimeJitter":           {pool.Config{LifetimeJitter: 1.5}, "pool: LifetimeJitter is 1.5; want a fraction up to 1 (0 means 0.1, negative means none)"},
	"LifetimeJitter, NaN":      {pool.Config{LifetimeJitter: math.NaN()}, "pool: LifetimeJitter is NaN; want a fraction up to 1 (0 means 0.1, negative means none)"},
	"MaxUses":                  {pool.Config{MaxUses: -1}, "pool: MaxUses is -1; want 0 or more (0 means no limit)"},
	"Trace.UseEvery":           {pool.Config{Trace: pool.Trace{UseEvery: -1}}, "pool: Trace.UseEvery is -1; want 0 or more (0 means every lease)"},
	"Backoff.Initial":          {pool.Config{Backoff: pool.Backoff{Initial: -1}}, "pool: Backoff.Initial is -1ns; want more than 0 (0 means 100ms)"},
	"Backoff.Factor":           {pool.Config{Backoff: pool.Backoff{Factor: 0.9}}, "pool: Backoff.Factor is 0.9; want 1 or more (0 means 1.6)"},
	"Backoff.Factor, NaN":      {pool.Config{Backoff: pool.Backoff{Factor: math.NaN()}}, "pool: Backoff.Factor is NaN; want 1 or more (0 means 1.6)"},
	"Backoff.Factor, infinite": {pool.Config{Backoff: pool.Backoff{Factor: math.Inf(1)}}, "pool: Backoff.Factor is +Inf; want 1 or more (0 means 1.6)"},
	"Backoff.Jitter":           {pool.Config{Backoff: pool.Backoff{Jitter: 2}}, "pool: Backoff.Jitter is 2; want a fraction up to 1 (0 means 0.2, negative means none)"},
	"Backoff.Jitter, NaN":      {pool.Config{Backoff: pool.Backoff{Jitter: math.NaN()}}, "pool: Backoff.Jitter is NaN; want a fraction up to 1 (0 means 0.2, negative means none)"},
	"Backoff.Max":              {pool.Config{Backoff: pool.Backoff{Initial: time.Minute}}, "pool: Backoff.Max is 5s; want at least Backoff.Initial, which is 1m0s"},
}

func TestWrongSettingIsNamedWithWhatIsAllowed(t *testing.T) {
	for name, tt := range wrong {
		t.Run(name, func(t *testing.T) {
			p, err := pool.New[*conn](drivertest.NewFake(t), tt.cfg)
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, p)
		})
	}
}

func TestWrongSettingsAreReportedTogether(t *testing.T) {
	_, err := pool.New[*conn](drivertest.NewFake(t), pool.Config{
		MaxOpen: -1, MinIdle: -2, ConnectTimeout: -1, MaxConnecting: -1, PingTimeout: -1,
		LifetimeJitter: 2, MaxUses: -1, Backoff: pool.Backoff{Initial: -1, Factor: -1, Jitter: 2, Max: -2},
	})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for i, field := range []string{
		"MaxOpen", "MinIdle", "ConnectTimeout", "MaxConnecting", "PingTimeout",
		"LifetimeJitter", "MaxUses", "Backoff.Initial", "Backoff.Factor", "Backoff.Jitter", "Backoff.Max",
	} {
		assert.Contains(t, lines[i], "pool: "+field+" is ")
	}
	assert.Len(t, lines, 11)
}

func TestZeroConfigWorksAndSoDoOddOnes(t *testing.T) {
	for name, cfg := range map[string]pool.Config{
		"zero": {},
		"off":  {AcquireTimeout: -1, KeepAlive: -1, ValidateAfter: -1, MaxIdleTime: -1, MaxLifetime: -1, LifetimeJitter: -1, Backoff: pool.Backoff{Jitter: -1}},
		"tiny": {MaxOpen: 1, MinIdle: 1, MaxIdle: 1, MaxConnecting: 1, MaxUses: 1, ValidateAfter: 1, KeepAlive: 1, Backoff: pool.Backoff{Initial: 1, Factor: 1, Max: 1}},
		"huge": {MaxOpen: math.MaxInt, MaxIdle: math.MaxInt, MaxWaiters: math.MaxInt, MaxConnecting: math.MaxInt, MaxUses: math.MaxInt},
	} {
		bubble(t, name, func(t *testing.T) {
			_, p := openFake(t, cfg)
			for range 3 {
				l := start(t.Context(), p).wantLease(t)
				assert.NoError(t, l.Conn().Use())
				l.Release()
				advance(time.Second)
			}
		})
	}
}

// Many programs use the longest duration for "never".
func TestLongestDurationIsLong(t *testing.T) {
	const long = time.Duration(math.MaxInt64)
	for name, cfg := range map[string]pool.Config{
		"AcquireTimeout": {AcquireTimeout: long},
		"ConnectTimeout": {ConnectTimeout: long},
		"KeepAlive":      {KeepAlive: long},
		"PingTimeout":    {PingTimeout: long, KeepAlive: time.Hour},
		"ValidateAfter":  {ValidateAfter: long},
		"MaxIdleTime":    {MaxIdleTime: long},
		"MaxLifetime":    {MaxLifetime: long, LifetimeJitter: -1},
		"with jitter":    {MaxLifetime: long, LifetimeJitter: 1},
		"Backoff.Max":    {Backoff: pool.Backoff{Max: long}},
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Always(drivertest.Connect, drivertest.Delay(time.Second))
			f.Always(drivertest.Ping, drivertest.Delay(500*time.Millisecond))
			cfg.MaxOpen = 1
			if cfg.MaxIdleTime == 0 {
				cfg.MaxIdleTime = -1
			}
			if cfg.MaxLifetime == 0 {
				cfg.MaxLifetime = -1
			}
			p := open[*conn](t, f, cfg)
			for range 3 {
				l := acquire(t, p)
				waiting := start(t.Context(), p)
				advance(time.Second)
				l.Release()
				waiting.wantLease(t).Release()
				advance(10 * time.Hour)
			}
			assert.Equal(t, 1, f.Counts().Connects)
			assert.Zero(t, p.Stats().ConnectFailures+p.Stats().PingFailures)
		})
	}
}

// An endless backoff is strange, but must not overflow into none.
func TestLongestBackoffIsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Duration(math.MaxInt64)
		f, p := openFake(t, pool.Config{MaxOpen: 1, Backoff: pool.Backoff{Initial: long, Max: long, Jitter: 1}})
		f.Next(drivertest.Connect, 1, drivertest.Fail(errScripted))
		start(t.Context(), p).wantError(t, errScripted)
		c := start(t.Context(), p)
		advance(20 * time.Second)
		c.wantWaiting(t)
		assert.Equal(t, 1, f.Counts().Connects)
	})
}

func TestNewWantsAConnector(t *testing.T) {
	_, err := pool.New[*conn](nil, pool.Config{})
	assert.EqualError(t, err, "pool: the connector is nil; want one from driver.OpenConnector or from a driver's NewConnector")
}

func TestAdviceFillsWhatIsLeftAtZero(t *testing.T) {
	advice := driver.Advice{
		Name: "depot", MaxOpen: 4, MaxConnecting: 3, ConnectTimeout: 20 * time.Second, KeepAlive: time.Minute, PingTimeout: 15 * time.Second,
		MaxIdleTime: time.Hour, MaxLifetime: 2 * time.Hour,
	}
	bubble(t, "advised", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Advised = advice
		p := open[*conn](t, f, pool.Config{LifetimeJitter: -1})
		assert.Equal(t, `pool "depot"`, p.String())
		assert.Equal(t, 4, p.Stats().MaxOpen)
		require.NoError(t, p.Resize(1)) // otherwise the pool would start more Connects, because this one is so slow
		f.Always(drivertest.Connect, drivertest.Delay(19*time.Second))
		fill(t, p, 1)
		assert.Zero(t, p.Stats().ConnectFailures, "ConnectTimeout")
		advance(time.Minute)
		assert.Equal(t, 1, f.Counts().Pings, "KeepAlive")
		advance(2 * time.Minute)
		f.Always(drivertest.Ping, drivertest.Delay(14*time.Second))
		acquire(t, p).Release()
		assert.Zero(t, p.Stats().PingFailures, "PingTimeout")
		f.Always(drivertest.Ping, nil)
		advance(50 * time.Minute)
		assert.Equal(t, 1, p.Stats().Idle, "MaxIdleTime")
		for range 14 { // in use now and then
			advance(5 * time.Minute)
			acquire(t, p).Release()
		}
		assert.Equal(t, int64(1), p.Stats().Closed.Lifetime)
	})

	bubble(t, "advised, of connects", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Advised = advice
		f.Always(drivertest.Connect, drivertest.Hang)
		open[*conn](t, f, pool.Config{MinIdle: 4})
		advance(4 * time.Second)
		assert.Equal(t, 3, f.Counts().Connects, "MaxConnecting")
	})

	bubble(t, "overruled", func(t *testing.T) {
		f := drivertest.NewFake(t)
		f.Advised = advice
		p := open[*conn](t, f, pool.Config{Name: "mine", MaxOpen: 2, KeepAlive: -1, MaxIdleTime: 10 * time.Second})
		assert.Equal(t, `pool "mine"`, p.String())
		assert.Equal(t, 2, p.Stats().MaxOpen)
		fill(t, p, 2)
		advance(time.Minute)
		assert.Zero(t, f.Counts().Pings)
		assert.Equal(t, int64(2), p.Stats().Closed.Idle)
	})
}

func TestPoolIsPrintedAsItsName(t *testing.T) {
	_, p := openFake(t, pool.Config{Name: "depot"})
	assert.Equal(t, `pool "depot"`, fmt.Sprint(p))
	assert.Equal(t, `pool "depot"`, fmt.Sprintf("%#v", p))
	assert.Equal(t, `pool "depot"`, fmt.Sprintf("%d", p))
	_, p = openFake(t, pool.Config{})
	assert.Equal(t, `pool "*drivertest.Fake"`, p.String(), "the connector's type")
	var none *pool.Pool[*conn]
	assert.Equal(t, "<nil>", fmt.Sprintf("%v", none))
}
