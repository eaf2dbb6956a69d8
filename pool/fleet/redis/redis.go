// Package redis stores the budgets of package fleet in Redis, or in a compatible server
// such as Valkey.
//
//	store := redis.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
//		return client.Eval(ctx, script, keys, args).Result() // github.com/redis/go-redis/v9
//	})
//	gate, err := fleet.New(store, fleet.Config{Budget: "gmail-ada", Limit: 15})
//
// After its import, DSNs can also name budgets:
//
//	imaps://ada:pw@mail.example?pool_budget=redis%3A%2F%2F10.0.0.5%2Fgmail-ada%3Flimit%3D15
//
// The value is redis://10.0.0.5/gmail-ada?limit=15, percent-encoded. Such a DSN can have
// a user, a password and, before the budget, a database number:
// redis://user:pw@host:6379/2/gmail-ada. The scheme rediss uses TLS. Package fleet has
// the parameters. Such stores use a small client in this package.
//
// A budget is one hash, hotline:fleet:NAME, with about 90 bytes for each process. It
// stays when no process uses it, because a budget that is gone has to be learned again.
//
// # When Redis loses data
//
// Redis may lose acknowledged writes: at a restart, at a failover to a replica, at
// a flush, by eviction. The ledger has the run_id of the server that it was written on.
// On another server, or without a ledger, the budget counts as lost, and package fleet
// learns it again. If scripts may not call INFO, only a missing ledger is noticed: then
// keep the data on disk (appendonly yes), and do not fail over to a replica. Let all
// processes log in as users with the same rights.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotline-go/hotline/pool/fleet"
)

// Eval runs a Lua script on the server and returns its answer: an int64, or an array as
// a []any of string, []byte and arrays. Any client library can do that. Each gate calls
// it from one goroutine at a time.
type Eval func(ctx context.Context, script string, keys, args []string) (any, error)

// Store is a [fleet.Store].
type Store struct{ eval Eval }

// New returns a store that calls the server through eval.
func New(eval Eval) *Store { return &Store{eval} }

// common begins both scripts. It reads the server's clock, in milliseconds, and checks
// whether the ledger was written on another server. If scripts may not call INFO, that
// can't be checked.
const common = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ok, info = pcall(redis.call, 'INFO', 'server')
local life = ok and string.match(info, 'run_id:(%x+)') or ''
local old = redis.call('HMGET', KEYS[1], 'version', 'life', 'learn')
local version = old[1] or ''
local lost = version == '' or life ~= '' and old[2] ~= '' and old[2] ~= life
`

// readScript returns version, lost, learning, the time, and all fields and values. A row
// is the field row:OWNER with the value "version may held want till". Parsing the rows
// here would cost the server ten times as much.
const readScript = common + `
local learning = tonumber(old[3] or '0') > now and '1' or '0'
return {version, lost and '1' or '0', learning, string.format('%.0f', now), redis.call('HGETALL', KEYS[1])}
`

// writeScript has the arguments version, new version, owner, may, held, want, left and
// learn in milliseconds, whether the row grows, and the row's version. The row gets the
// new version too. A Write that makes a row removes the rows whose time has passed.
const writeScript = common + `
local row = 'row:' .. ARGV[3]
local learn = tonumber(ARGV[8])
local was = redis.call('HGET', KEYS[1], row) or ''
local own = tonumber(string.match(was, '(%d+)$') or '0') > now and string.match(was, '^%S+') or ''
if own ~= ARGV[10] or lost and version ~= '' and learn == 0 then
	return 0
end
if version == '' or ARGV[1] == '' or learn > 0 or ARGV[9] == '1' then
	if version ~= ARGV[1] then
		return 0
	end
	redis.call('HSET', KEYS[1], 'version', ARGV[2])
elseif own == '' and tonumber(ARGV[4]) > 0 then
	return 0
end
if own == '' then
	local all = redis.call('HGETALL', KEYS[1])
	for i = 1, #all, 2 do
		local till = string.match(all[i], '^row:') and tonumber(string.match(all[i + 1], '(%d+)$'))
		if till and till <= now then
			redis.call('HDEL', KEYS[1], all[i])
		end
	end
end
if version == '' or learn > 0 then
	redis.call('HSET', KEYS[1], 'life', life, 'learn', string.format('%.0f', learn > 0 and now + learn or 0))
end
if tonumber(ARGV[7]) > 0 then
	redis.call('HSET', KEYS[1], row, string.format('%s %s %s %s %.0f', ARGV[2], ARGV[4], ARGV[5], ARGV[6], now + ARGV[7]))
else
	redis.call('HDEL', KEYS[1], row)
end
return 1
`

func keys(budget string) []string { return []string{"hotline:fleet:" + budget} }

// Read implements [fleet.Store].
func (s *Store) Read(ctx context.Context, budget string) (fleet.Ledger, error) {
	answer, err := s.run(ctx, readScript, budget)
	if err != nil {
		return fleet.Ledger{}, err
	}
	parts, ok := answer.([]any)
	if !ok || len(parts) != 5 {
		return fleet.Ledger{}, fmt.Errorf("fleet/redis: Eval returned a %T; want an array of 5 elements", answer)
	}
	head, ok := strs(parts[:4])
	fields, isArray := parts[4].([]any)
	words, areStrings := strs(fields)
	if !ok || !isArray || !areStrings || len(words)%2 != 0 {
		return fleet.Ledger{}, errors.New("fleet/redis: Eval returned an unexpected array; want 4 strings and an array of pairs of strings")
	}
	l := fleet.Ledger{Version: head[0], Lost: head[1] == "1", Learning: head[2] == "1"}
	now, err := strconv.ParseInt(head[3], 10, 64)
	for pair := range slices.Chunk(words, 2) {
		owner, isRow := strings.CutPrefix(pair[0], "row:")
		if !isRow || err != nil {
			continue
		}
		r, till := fleet.Row{Owner: owner}, int64(0)
		if _, err = fmt.Sscan(pair[1], &r.Version, &r.May, &r.Held, &r.Want, &till); err == nil && till > now {
			r.Left = time.Duration(till-now) * time.Millisecond
			l.Rows = append(l.Rows, r)
		}
	}
	if err != nil {
		return fleet.Ledger{}, fmt.Errorf("fleet/redis: the rows of budget %q: %w", budget, err)
	}
	return l, nil
}

// Write implements [fleet.Store].
func (s *Store) Write(ctx context.Context, budget, version string, e fleet.Entry) (bool, error) {
	grows := "0"
	if e.Grows {
		grows = "1"
	}
	answer, err := s.run(ctx, writeScript, budget, version, rand.Text(), e.Owner,
		strconv.Itoa(e.May), strconv.Itoa(e.Held), strconv.Itoa(e.Want), millis(e.Left), millis(e.Learn), grows, e.Version)
	if err != nil {
		return false, err
	}
	n, ok := answer.(int64)
	if !ok {
		return false, fmt.Errorf("fleet/redis: Eval returned a %T; want an int64", answer)
	}
	return n == 1, nil
}

// run makes one call, unless ctx has ended: not every client checks that.
func (s *Store) run(ctx context.Context, script, budget string, args ...string) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer, err := s.eval(ctx, script, keys(budget), args)
	if err != nil {
		return nil, fmt.Errorf("fleet/redis: %w", err)
	}
	return answer, nil
}

// millis returns d in milliseconds, rounded up, so that a row does not end early.
func millis(d time.Duration) string {
	return strconv.FormatInt(max(int64((d+time.Millisecond-1)/time.Millisecond), 0), 10)
}

// strs returns the strings of an array.
func strs(array []any) (words []string, ok bool) {
	for _, v := range array {
		switch v := v.(type) {
		case string:
			words = append(words, v)
		case []byte:
			words = append(words, string(v))
		default:
			return nil, false
		}
	}
	return words, true
}

// own is a store that closes its client.
type own struct {
	*Store
	io.Closer
}

func init() {
	for _, scheme := range []string{"redis", "rediss"} {
		fleet.Register(scheme, func(dsn string) (fleet.Store, error) {
			c, err := parse(dsn)
			if err != nil {
				return nil, err
			}
			return own{New(c.eval), c}, nil
		})
	}
}

// errEmpty is a DSN that names no server.
var errEmpty = errors.New("no host; want one as in redis://127.0.0.1:6379/budget?limit=15")

// isNumber reports whether s is a database number.
func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
