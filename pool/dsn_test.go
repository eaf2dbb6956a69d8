package pool

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

// parameters has, for each parameter, a value and the Config that results from an
// empty one.
var parameters = map[string]struct {
	value string
	want  Config
}{
	"pool_name":            {"depot", Config{Name: "depot"}},
	"pool_max_open":        {"20", Config{MaxOpen: 20}},
	"pool_min_idle":        {"2", Config{MinIdle: 2}},
	"pool_max_idle":        {"-1", Config{MaxIdle: -1}},
	"pool_max_waiters":     {"-1", Config{MaxWaiters: -1}},
	"pool_acquire_timeout": {"-1s", Config{AcquireTimeout: -time.Second}},
	"pool_connect_timeout": {"3s", Config{ConnectTimeout: 3 * time.Second}},
	"pool_max_connecting":  {"5", Config{MaxConnecting: 5}},
	"pool_keepalive":       {"1m", Config{KeepAlive: time.Minute}},
	"pool_ping_timeout":    {"250ms", Config{PingTimeout: 250 * time.Millisecond}},
	"pool_validate_after":  {"-1ns", Config{ValidateAfter: -1}},
	"pool_max_idle_time":   {"2m", Config{MaxIdleTime: 2 * time.Minute}},
	"pool_max_lifetime":    {"1h", Config{MaxLifetime: time.Hour}},
	"pool_lifetime_jitter": {"0.5", Config{LifetimeJitter: 0.5}},
	"pool_max_uses":        {"6", Config{MaxUses: 6}},
	"pool_leak_after":      {"30s", Config{LeakAfter: 30 * time.Second}},
	"pool_backoff_initial": {"10ms", Config{Backoff: Backoff{Initial: 10 * time.Millisecond}}},
	"pool_backoff_factor":  {"3", Config{Backoff: Backoff{Factor: 3}}},
	"pool_backoff_jitter":  {"-1", Config{Backoff: Backoff{Jitter: -1}}},
	"pool_backoff_max":     {"9s", Config{Backoff: Backoff{Max: 9 * time.Second}}},
	"pool_fail_fast":       {"true", Config{FailFast: true}},
}

func TestEachParameterSetsItsFieldAndNoOther(t *testing.T) {
	for name, tt := range parameters {
		t.Run(name, func(t *testing.T) {
			var c Config
			rest, err := c.CutDSN("tcp://db.example:99/x?" + name + "=" + tt.value)
			require.NoError(t, err)
			assert.Equal(t, "tcp://db.example:99/x", rest)
			assert.Equal(t, tt.want, c)
		})
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(parameters)), new(Config).params().Names(), "each parameter has its test")
}

// Each field whose value can be written as text has a parameter.
func TestEachPlainFieldHasAParameter(t *testing.T) {
	var query []string
	for name, tt := range parameters {
		query = append(query, name+"="+tt.value)
	}
	var c Config
	_, err := c.CutDSN("x?" + strings.Join(query, "&"))
	require.NoError(t, err)
	var plain func(path string, v reflect.Value)
	plain = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			field, name := v.Field(i), path+v.Type().Field(i).Name
			switch {
			case field.Type() == reflect.TypeFor[Backoff]():
				plain(name+".", field)
			case field.Kind() != reflect.Func && field.Kind() != reflect.Struct && field.Kind() != reflect.Interface:
				assert.False(t, field.IsZero(), "%s has no parameter", name)
			}
		}
	}
	plain("Config.", reflect.ValueOf(c))
}

func TestParametersWinOverTheConfigAndReachThePool(t *testing.T) {
	f := drivertest.NewFake(t)
	f.Advised = driver.Advice{MaxOpen: 4, KeepAlive: time.Hour}
	drivertest.Register(t, "dsntest", f)
	p, err := Open[*drivertest.FakeConn]("dsntest", "fake://db.example/x?user=u&pool_max_open=7&pool_ping_timeout=3s&tz=utc&pool_keepalive=2m",
		Config{MaxOpen: 5, PingTimeout: time.Second, MaxWaiters: 9})
	require.NoError(t, err)
	defer p.Close()
	assert.Equal(t, 7, p.cfg.MaxOpen)
	assert.Equal(t, 7, p.Stats().MaxOpen)
	assert.Equal(t, 3*time.Second, p.cfg.PingTimeout)
	assert.Equal(t, 2*time.Minute, p.cfg.KeepAlive, "overrides the advice too")
	assert.Equal(t, 9, p.cfg.MaxWaiters, "a field without a parameter stays")
	assert.Equal(t, []string{"fake://db.example/x?user=u&tz=utc"}, f.DSNs(), "the driver does not see them")
}

func TestWrongParametersAreReportedTogether(t *testing.T) {
	f := drivertest.NewFake(t)
	drivertest.Register(t, "dsntest", f)
	for query, want := range map[string]string{
		"pool_max_opne=5":              `pool: dsn: unknown parameter pool_max_opne; the nearest known one is pool_max_open`,
		"pool_keep_alive=5s":           `pool: dsn: unknown parameter pool_keep_alive; the nearest known one is pool_keepalive`,
		"pool_max_open=many":           `pool: dsn: parameter pool_max_open="many": want a whole number of at least 0`,
		"pool_max_open=-1":             `pool: dsn: parameter pool_max_open="-1": want a whole number of at least 0`,
		"pool_max_idle=-2":             `pool: dsn: parameter pool_max_idle="-2": want a whole number of at least -1`,
		"pool_keepalive=5":             `pool: dsn: parameter pool_keepalive="5": want a Go duration, such as 30s or 4m`,
		"pool_backoff_factor=x":        `pool: dsn: parameter pool_backoff_factor="x": want a number of at least 0`,
		"pool_lifetime_jitter=2":       `pool: dsn: parameter pool_lifetime_jitter="2": want a number of at most 1`,
		"pool_fail_fast=maybe":         `pool: dsn: parameter pool_fail_fast="maybe": want true or false`,
		"pool_min_idle=5":              `pool: MinIdle is 5; want at most MaxOpen, which is 3`,
		"pool_ping_timeout=-1s":        `pool: PingTimeout is -1s; want more than 0 (0 means 1s): a check must end`,
		"pool_max_uses=x&pool_mxidl=1": "pool: dsn: parameter pool_max_uses=\"x\": want a whole number of at least 0\ndsn: unknown parameter pool_mxidl; the nearest known one is pool_max_idle",
	} {
		p, err := Open[*drivertest.FakeConn]("dsntest", "fake://db.example/x?"+query, Config{MaxOpen: 3})
		assert.EqualError(t, err, want)
		assert.Nil(t, p)
		for _, dsn := range f.DSNs() {
			assert.Equal(t, "fake://db.example/x", dsn, "the driver checks the DSN too")
		}
	}
}

func TestOpenReportsADriverThatNobodyRegistered(t *testing.T) {
	_, err := Open[driver.Conn]("unheard of", "fake://db.example", Config{})
	assert.ErrorContains(t, err, `pool: driver: unknown driver "unheard of"`)
}

// dsnRefuser is a driver that refuses its DSN.
type dsnRefuser struct{ *drivertest.Fake }

func (dsnRefuser) OpenConnector(string) (driver.Connector, error) { return nil, driver.ErrBadConn }

func TestOpenReportsADSNThatTheDriverRefuses(t *testing.T) {
	drivertest.Register(t, "dsntest", dsnRefuser{drivertest.NewFake(t)})
	_, err := Open[driver.Conn]("dsntest", "fake://db.example", Config{})
	assert.ErrorIs(t, err, driver.ErrBadConn)
	assert.ErrorContains(t, err, "pool: ")
}

// No part of these DSNs is certain to be a host, and some part may be a password.
func TestPoolsWithoutAHostAreNumbered(t *testing.T) {
	names := map[string]bool{}
	for _, text := range []string{
		"", "db.example:99", "ada:1234", "user:s3cret@tcp(db.example)/x", "host=h password=1234", "fake://",
		"fake://ada:12/34@db.example", "fake://ada:12/34?x=5@db.example", "fake://ada:12?34=5@db.example", "fake://:12/34?x=5@db.example",
	} {
		f := drivertest.NewFake(t)
		t.Run(text, func(t *testing.T) {
			drivertest.Register(t, "dsntest", f)
			for range 2 {
				p, err := Open[driver.Conn]("dsntest", text, Config{})
				require.NoError(t, err)
				defer p.Close()
				assert.Regexp(t, `^dsntest #\d+$`, p.cfg.Name)
				assert.False(t, names[p.cfg.Name], "%s is the name of two pools", p.cfg.Name)
				names[p.cfg.Name] = true
			}
		})
	}
}

func TestPoolIsNamedForItsDriverAndHost(t *testing.T) {
	for text, want := range map[string]string{
		"fake://user:secret@db.example:99/x?token=t": "dsntest db.example:99",
		"fake://db.example/x":                        "dsntest db.example",
		"fake://[::1]:99":                            "dsntest [::1]:99",
		"fake://db.example:99/x?user=ada%40work":     "dsntest db.example:99",
		"fake://db.example?pool_name=depot":          "depot",
	} {
		f := drivertest.NewFake(t)
		t.Run(text, func(t *testing.T) {
			drivertest.Register(t, "dsntest", f)
			p, err := Open[driver.Conn]("dsntest", text, Config{})
			require.NoError(t, err)
			defer p.Close()
			assert.Equal(t, want, p.cfg.Name)

			named, err := Open[driver.Conn]("dsntest", text, Config{Name: "mine"})
			require.NoError(t, err)
			defer named.Close()
			if want != "depot" {
				want = "mine"
			}
			assert.Equal(t, want, named.cfg.Name)
		})
	}
}
