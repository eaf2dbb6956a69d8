package drivertest_test

import (
	"context"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
)

func TestGoodDriverPassesInMemory(t *testing.T)      { drivertest.Run(t, inMemory(nil)) }
func TestGoodDriverPassesOnRealSockets(t *testing.T) { drivertest.Run(t, onLoopback) }

// TestNoRuleIsSkippedForAFullDriver finds a rule that is skipped by mistake.
func TestNoRuleIsSkippedForAFullDriver(t *testing.T) {
	for _, name := range drivertest.RuleNames() {
		synctest.Test(t, func(t *testing.T) {
			r := record(t, func(t testing.TB) { drivertest.RunRule(t, name, inMemory(nil)) })
			assert.Empty(t, r.errors, name)
			assert.Empty(t, r.skipped, name)
		})
	}
}

// TestEachBrokenDriverFailsOneRule shows that each rule finds its fault.
func TestEachBrokenDriverFailsOneRule(t *testing.T) {
	for _, b := range brokenDrivers {
		t.Run(b.rule+"/"+b.fault, func(t *testing.T) {
			for _, name := range drivertest.RuleNames() {
				synctest.Test(t, func(t *testing.T) {
					r := record(t, func(t testing.TB) { drivertest.RunRule(t, name, inMemory(b.wrap)) })
					if name != b.rule {
						assert.Empty(t, r.errors, "%s is not broken", name)
						return
					}
					require.NotEmpty(t, r.errors, "%s is broken, but %s", name, r.skipped)
					assert.Contains(t, r.errors[0], drivertest.Sentences()[name])
				})
			}
		})
	}
}

func TestTheRuleOfSecretsSaysWhatShowsOneAndWhatToDo(t *testing.T) {
	for _, tc := range []struct{ fault, want string }{
		{"in the connector", "the connector shows Secrets[0] when printed with %v, %+v, %#v, %s, %q; give it a Format method that shows no secret, or String and GoString"},
		{"in the connector under %#v", "the connector shows Secrets[0] when printed with %#v; give it a Format method that shows no secret, or String and GoString"},
		{"in the error about a DSN", "the error of BadDSN shows Secrets[0] when printed with %v, %+v, %#v, %s, %q; the usual cause is url.Parse, whose error quotes the DSN"},
		{"takes any DSN", "BadDSN = nil, want an error about the DSN"},
		{"in the advice", "Advice().Name shows Secrets[0]"},
		{"in String", "String of the connection shows Secrets[0]"},
	} {
		i := slices.IndexFunc(brokenDrivers, func(b broken) bool { return b.fault == tc.fault })
		require.GreaterOrEqual(t, i, 0, tc.fault)
		synctest.Test(t, func(t *testing.T) {
			r := record(t, func(t testing.TB) { drivertest.RunRule(t, "SecretsStaySecret", inMemory(brokenDrivers[i].wrap)) })
			require.NotEmpty(t, r.errors, tc.fault)
			said, _, _ := strings.Cut(r.errors[0], "\n")
			assert.Equal(t, tc.want, said)
		})
	}
}

func TestTheRuleOfCloseSaysHowLongTheServerSawTheConnection(t *testing.T) {
	for _, tc := range []struct{ fault, want string }{
		{"leaves the socket", "Close of a healthy connection returned, but the server still saw the connection 5s later"},
		{"closes later", "Close of a healthy connection returned, but the server saw the connection for at least another 500ms, 3 times out of 3"},
		{"closes later after a Ping without an answer", "Close of a connection whose Ping got no answer returned, but the server saw the connection for at least another 500ms, 3 times out of 3"},
	} {
		i := slices.IndexFunc(brokenDrivers, func(b broken) bool { return b.fault == tc.fault })
		require.GreaterOrEqual(t, i, 0, tc.fault)
		synctest.Test(t, func(t *testing.T) {
			r := record(t, func(t testing.TB) {
				drivertest.RunRule(t, "CloseReachesThePeer", inMemory(brokenDrivers[i].wrap))
			})
			require.NotEmpty(t, r.errors, tc.fault)
			said, _, _ := strings.Cut(r.errors[0], "\n")
			assert.Equal(t, tc.want, said)
		})
	}
}

func TestTheErrorOfAFailedTypeAssertionNamesDriverAs(t *testing.T) {
	r := record(t, func(t testing.TB) {
		drivertest.RunRule(t, "ConnectReturnsAReadyConnection", func(t testing.TB) drivertest.Subject {
			s := inMemory(nil)(t)
			s.Exchange = func(c driver.Conn) error { return c.(interface{ Noop() error }).Noop() }
			return s
		})
	})
	require.NotEmpty(t, r.errors)
	assert.Contains(t, r.errors[0], "missing method Noop\ndriver.As finds the client")
}

// The rule gives up waiting for a Connect, which then succeeds.
func TestConnectionsThatComeLateAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late atomic.Pointer[plainConn]
		r := record(t, func(t testing.TB) {
			drivertest.RunRule(t, "ConnectEndsWithItsContext", inMemory(func(_ testing.TB, p *plainConnector) driver.Connector {
				return &connector{p, func(ctx context.Context) (driver.Conn, error) {
					inner, err := p.dial(ctx)
					if err != nil {
						return nil, err
					}
					<-time.After(6 * time.Second)
					late.Store(newPlainConn(inner))
					return late.Load(), nil
				}}
			}))
		})
		assert.NotEmpty(t, r.errors)
		assert.True(t, late.Load().closed.Load())
	})
}

func TestEveryRuleHasABrokenDriver(t *testing.T) {
	covered := map[string]bool{}
	for _, b := range brokenDrivers {
		covered[b.rule] = true
	}
	for _, name := range drivertest.RuleNames() {
		assert.True(t, covered[name], name)
	}
	assert.Len(t, covered, len(drivertest.RuleNames()), "a broken driver names no rule")
}

func TestEverySentenceIsInTheDocOfDriver(t *testing.T) {
	doc := docOfDriver(t)
	for name, sentence := range drivertest.Sentences() {
		assert.Contains(t, doc, sentence, name)
	}
}

// docOfDriver returns all comments of package driver, on one line.
func docOfDriver(t *testing.T) string {
	files, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	var doc strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, group := range file.Comments {
			doc.WriteString(group.Text())
		}
	}
	return strings.Join(strings.Fields(doc.String()), " ")
}

// bare hides all optional interfaces of a connection.
type bare struct{ conn driver.Conn }

func (b bare) Close() error { return b.conn.Close() }

func TestDriverWithoutOptionalInterfacesPasses(t *testing.T) {
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		s := inMemory(func(_ testing.TB, p *plainConnector) driver.Connector {
			return wrapped(p, func(c *plainConn) driver.Conn { return bare{c} })
		})(t)
		s.Exchange, s.Spoil, s.Fresh, s.Leftover = nil, nil, nil, nil
		return s
	})
}
