package fleet

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-logr/logr"
)

// Config has the settings of a [Gate]. All processes of a budget must have the same
// Limit, TTL and Grace.
type Config struct {
	// Budget names the limit in the store, as in "gmail-ada". It is required.
	Budget string

	// Limit is how many connections all processes may have together, as the server
	// counts them. It is required. More than 2147483647 is an error.
	Limit int

	// TTL is how long a grant lasts without renewal. It decides how soon the
	// connections of a killed process are free for others, and how long the store may
	// be down. Zero means 15 seconds. Less than 100 ms or more than a day is an error.
	TTL time.Duration

	// Grace is how long the server may still count a connection after its end.
	// Zero means 500 ms. Negative means not at all. More than a day is an error.
	Grace time.Duration

	// Spare is how many permits to keep in addition to those in use, so that a Connect
	// need not wait for the store. The pool's MinIdle, Warm and Ready connect only
	// within the grant, so set Spare to at least MinIdle. Zero means none. Negative is
	// an error, and so is more than Limit.
	Spare int

	// Floor is how many connections this process may have when its grant is over, when
	// the store has never answered, or while the store learns who has connections. All
	// processes together may then have more than Limit. Zero means none. Negative is an
	// error, and so is more than Limit.
	Floor int

	// Strict also closes connections in use when the grant is over, and
	// checks the deadline before each use. It requires a Floor of zero.
	Strict bool

	// Owner names this process for people, in the store and in the output of hotline
	// fleet. Empty means the host name and the process ID. A random part is added.
	Owner string

	// Logger logs as errors that a store call failed and that a grant is over. At V(0)
	// it logs that the store learns or answers again, at V(1) each change of the grant.
	// The zero Logger discards everything.
	Logger logr.Logger
}

// The pace of a gate, in calls per TTL, and the limits and defaults of times.
const (
	renewals     = 3   // while the grant is enough
	hungryCalls  = 6   // while it is not
	retries      = 6   // after the first failed call; the next retries are slower
	crowd        = 100 // with this many owners, none asks at the hungry pace, because each call reads all rows
	shortestTTL  = 100 * time.Millisecond
	longest      = 24 * time.Hour // limit of TTL and Grace: their sum and its fractions must not overflow
	defaultTTL   = 15 * time.Second
	defaultGrace = 500 * time.Millisecond
)

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.TTL = cmp.Or(c.TTL, defaultTTL)
	c.Grace = max(cmp.Or(c.Grace, defaultGrace), 0)
	if c.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Owner = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	c.Owner += "/" + strings.ToLower(rand.Text()[:8]) // each gate of this process is another owner
	return c
}

// check reports everything that is wrong with c.
func (c Config) check() error {
	var faults []error
	want := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("fleet: %s is %v; want %s", field, value, allowed))
		}
	}
	want(c.Budget != "" && isText(c.Budget), "Budget", strconv.Quote(c.Budget), "a name, the same in all processes, of UTF-8 without control characters")
	want(isText(c.Owner), "Owner", strconv.Quote(c.Owner), "UTF-8 without control characters")
	want(c.Limit > 0 && c.Limit <= math.MaxInt32, "Limit", c.Limit, "1 or more, at most 2147483647")
	want(c.TTL == 0 || c.TTL >= shortestTTL && c.TTL <= longest, "TTL", c.TTL, "100ms to 24h (0 means 15s)")
	want(c.Grace <= longest, "Grace", c.Grace, "at most 24h (0 means 500ms, negative means none)")
	want(c.Spare >= 0 && c.Spare <= max(c.Limit, 0), "Spare", c.Spare, "0 to Limit")
	want(c.Floor >= 0 && c.Floor <= max(c.Limit, 0), "Floor", c.Floor, "0 to Limit")
	want(!c.Strict || c.Floor == 0, "Floor", c.Floor, "0 with Strict, which keeps no connections")
	return errors.Join(faults...)
}

// isText reports whether every store can keep s.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }
