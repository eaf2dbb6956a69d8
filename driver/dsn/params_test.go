package dsn

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settings has a field of each kind; its values before Apply are the defaults.
type settings struct {
	text, mode string
	on         bool
	count      int
	ratio      float64
	idle       time.Duration
	code       string
}

var errCode = errors.New("it does not begin with E")

func (s *settings) table() *Params {
	p := new(Params)
	p.String("text", &s.text)
	p.Enum("mode", &s.mode, "off", "on", "auto")
	p.Bool("on", &s.on)
	p.Int("count", &s.count, 1, 9)
	p.Float("ratio", &s.ratio, 0, 1)
	p.Duration("idle", &s.idle, time.Second)
	p.Func("code", "an error code", func(v string) error {
		if v == "" || v[0] != 'E' {
			return errCode
		}
		s.code = v
		return nil
	})
	return p
}

func TestApplySetsWhatIsGivenAndKeepsTheRest(t *testing.T) {
	s := settings{mode: "auto", count: 5}
	require.NoError(t, s.table().Apply(nil))
	assert.Equal(t, settings{mode: "auto", count: 5}, s)

	require.NoError(t, s.table().Apply(map[string]string{
		"text": "a\x00b", "mode": "off", "on": "true", "count": "9", "ratio": "0.5", "idle": "1m30s", "code": "E1",
	}))
	assert.Equal(t, settings{"a\x00b", "off", true, 9, 0.5, 90 * time.Second, "E1"}, s)
}

// notShown is the error for a name that is not near any known one.
const notShown = `dsn: unknown parameter, not shown because it may be part of a password that is not percent-encoded; valid parameters: text, mode, on, count, ratio, idle, code (parameters of a pool begin with pool_)`

func TestApplyNamesTheFault(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"mode", "On", `dsn: parameter mode="On": want off or on or auto`},
		{"on", "", `dsn: parameter on="": want true or false`},
		{"count", "0", `dsn: parameter count="0": want a whole number from 1 to 9`},
		{"count", "10", `dsn: parameter count="10": want a whole number from 1 to 9`},
		{"count", "1.5", `dsn: parameter count="1.5": want a whole number from 1 to 9`},
		{"ratio", "-0.1", `dsn: parameter ratio="-0.1": want a number from 0 to 1`},
		{"ratio", "NaN", `dsn: parameter ratio="NaN": want a number from 0 to 1`},
		{"idle", "999ms", `dsn: parameter idle="999ms": want a Go duration of at least 1s, such as 30s or 4m`},
		{"idle", "30", `dsn: parameter idle="30": want a Go duration of at least 1s, such as 30s or 4m`},
		{"code", "x\n", `dsn: parameter code="x\n": want an error code: it does not begin with E`},
		{"cuont", "1", `dsn: unknown parameter cuont; the nearest known one is count`},
		{"mark", "1", notShown},
		{"mdoe", "1", `dsn: unknown parameter mdoe; the nearest known one is mode`},
		{"cuont_", "1", `dsn: unknown parameter cuont_; the nearest known one is count`}, // a third of it is wrong
		{"cuontx_", "1", notShown},
		{"max_open", "1", notShown},
		{"hunter", "1", notShown},
		{"hunter2", "1", notShown},
		{"pool_hunter2", "1", notShown},
		{"Count", "1", notShown},
		{"pool_maximum", "1", `dsn: unknown parameter pool_maximum; valid parameters: text, mode, on, count, ratio, idle, code`},
		{"", "1", notShown},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			var s settings
			require.EqualError(t, s.table().Apply(map[string]string{tc.name: tc.value}), tc.want)
			assert.Equal(t, settings{}, s)
		})
	}
}

func TestApplyReportsAllFaultsSortedByName(t *testing.T) {
	var s settings
	err := s.table().Apply(map[string]string{"on": "x", "count": "x", "code": "x", "text": "kept"})
	require.EqualError(t, err, `dsn: parameter code="x": want an error code: it does not begin with E
dsn: parameter count="x": want a whole number from 1 to 9
dsn: parameter on="x": want true or false`)
	assert.ErrorIs(t, err, errCode)
	assert.Equal(t, "kept", s.text)
}

func TestApplyHidesASecretAndTheErrorOfItsSet(t *testing.T) {
	var p Params
	p.Func("proxy", "a proxy URL", func(v string) error { return errors.New(v + " is not a URL") }).Secret()
	require.EqualError(t, p.Apply(map[string]string{"proxy": "hunter2"}),
		"dsn: parameter proxy: want a proxy URL; the value is secret, so it is not shown")
}

func TestLimitsInWords(t *testing.T) {
	var p Params
	var n int
	var f float64
	var d time.Duration
	p.Int("a", &n, math.MinInt, math.MaxInt)
	p.Int("b", &n, 1, math.MaxInt)
	p.Int("c", &n, math.MinInt, 1)
	p.Float("d", &f, math.Inf(-1), math.Inf(1))
	p.Duration("e", &d, math.MinInt64)
	err := p.Apply(map[string]string{"a": "x", "b": "x", "c": "x", "d": "Inf", "e": "x"})
	require.EqualError(t, err, `dsn: parameter a="x": want a whole number
dsn: parameter b="x": want a whole number of at least 1
dsn: parameter c="x": want a whole number of at most 1
dsn: parameter d="Inf": want a number
dsn: parameter e="x": want a Go duration, such as 30s or 4m`)
	require.NoError(t, p.Apply(map[string]string{"a": "-5", "d": "-5", "e": "-5s"}))
	assert.Equal(t, []any{-5, -5.0, -5 * time.Second}, []any{n, f, d})
}

func TestAnEmptyTableKnowsNoParameter(t *testing.T) {
	var p Params
	require.NoError(t, p.Apply(nil))
	require.EqualError(t, p.Apply(map[string]string{"a": ""}), "dsn: unknown parameter, not shown because it may be part of a password that is not percent-encoded; there are no valid parameters (parameters of a pool begin with pool_)")
}

func TestNamesAreInTheOrderOfTheTable(t *testing.T) {
	assert.Equal(t, []string{"text", "mode", "on", "count", "ratio", "idle", "code"}, new(settings).table().Names())
}

func TestANameAddedTwicePanics(t *testing.T) {
	var s settings
	assert.PanicsWithValue(t, "dsn: parameter on added twice", func() { s.table().Bool("on", &s.on) })
}

// A name more than a few typos away is a different word.
func TestADifferentWordIsNotNear(t *testing.T) {
	var p Params
	var text string
	p.String("user_timeout", &text)
	p.String("keepalive_idle", &text)
	for _, name := range []string{"ping_timeout", "keepalive", "max_idle"} {
		assert.ErrorContains(t, p.Apply(map[string]string{name: "1"}), "not shown because it may be part of a password that is not percent-encoded; valid parameters: user_timeout, keepalive_idle (", name)
	}
	for name, near := range map[string]string{"usre_tiemotu": "user_timeout", "keep_alive_idle": "keepalive_idle"} {
		assert.EqualError(t, p.Apply(map[string]string{name: "1"}), "dsn: unknown parameter "+name+"; the nearest known one is "+near)
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3},
		{"ab", "ba", 1}, {"abcd", "badc", 2}, {"keepalvie", "keepalive", 1}, {"aab", "aba", 1}, {"ca", "abc", 3}} {
		assert.Equal(t, tc.want, distance(tc.a, tc.b), "%q %q", tc.a, tc.b)
	}
}
