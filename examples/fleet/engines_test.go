//go:build linux

package fleet_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/fleet/etcd"
	"github.com/hotline-go/hotline/pool/fleet/fleettest"
	"github.com/hotline-go/hotline/pool/fleet/postgres"
	"github.com/hotline-go/hotline/pool/fleet/redis"
)

// engine is a server that can be a store.
type engine struct {
	name    string
	program realserver.Program
	prepare func(t testing.TB, addr string)             // after the first start
	dsn     func(addr string) string                    // without the parameters
	open    func(t testing.TB, addr string) fleet.Store // with a client library
	lose    func(t testing.TB, s *realserver.Server)    // all data
}

// start runs the engine until the test ends.
func (e engine) start(t testing.TB) *realserver.Server {
	s := realserver.Start(t, e.program)
	if e.prepare != nil {
		e.prepare(t, s.Addr)
	}
	return s
}

var engines = []engine{
	{
		name: "redis",
		program: realserver.Program{
			Name: "redis-server", Package: "redis-server", User: "nobody",
			Configure: func(s *realserver.Server) []string {
				return []string{"--bind", "127.0.0.1", "--port", s.Port(), "--dir", s.Dir, "--save", ""}
			},
		},
		dsn: func(addr string) string { return "redis://" + addr + "/depot" },
		open: func(t testing.TB, addr string) fleet.Store {
			client := goredis.NewClient(&goredis.Options{Addr: addr, PoolSize: 1})
			t.Cleanup(func() { client.Close() })
			return redis.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
				return client.Eval(ctx, script, keys, args).Result()
			})
		},
		lose: func(t testing.TB, s *realserver.Server) {
			client := goredis.NewClient(&goredis.Options{Addr: s.Addr})
			defer client.Close()
			require.NoError(t, client.FlushAll(context.Background()).Err())
		},
	},
	{
		name: "postgres",
		program: realserver.Program{
			Name: "postgres", Package: "postgresql", User: "postgres",
			Configure: func(s *realserver.Server) []string {
				s.Run("initdb", "postgresql", "-D", "data", "-A", "trust", "-U", "app", "--no-sync", "--no-instructions", "--locale", "C", "-E", "UTF8")
				args := []string{"-D", "data"}
				for _, setting := range []string{"listen_addresses=127.0.0.1", "port=" + s.Port(), "unix_socket_directories=", "fsync=off"} {
					args = append(args, "-c", setting)
				}
				return args
			},
			Ready: answersToLogin,
		},
		prepare: func(t testing.TB, addr string) { execute(t, addr, postgres.Schema) },
		dsn:     func(addr string) string { return "postgres://app@" + addr + "/postgres/depot" },
		open: func(t testing.TB, addr string) fleet.Store {
			return postgres.New(open(t, addr))
		},
		lose: func(t testing.TB, s *realserver.Server) {
			execute(t, s.Addr, "TRUNCATE hotline_budgets, hotline_grants")
		},
	},
	{
		name: "etcd",
		program: realserver.Program{
			Name: "etcd", Package: "etcd-server", User: "nobody",
			Configure: func(s *realserver.Server) []string {
				peer := "http://127.0.0.1:0"
				return []string{"--data-dir", s.Dir + "/data", "--listen-client-urls", "http://" + s.Addr, "--advertise-client-urls", "http://" + s.Addr,
					"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer, "--unsafe-no-fsync"}
			},
			Ready: isHealthy,
		},
		dsn: func(addr string) string { return "etcd://" + addr + "/depot" },
		open: func(t testing.TB, addr string) fleet.Store {
			return etcd.New(etcdClient(t, addr))
		},
		lose: func(t testing.TB, s *realserver.Server) {
			_, err := etcdClient(t, s.Addr).Delete(context.Background(), "", clientv3.WithPrefix())
			require.NoError(t, err)
		},
	},
}

func etcdClient(t testing.TB, addr string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// execute runs SQL.
func execute(t testing.TB, addr, statements string) {
	_, err := open(t, addr).Exec(statements)
	require.NoError(t, err)
}

// open opens PostgreSQL until the test ends.
func open(t testing.TB, addr string) *sql.DB {
	db, err := sql.Open("pgx", "postgres://app@"+addr+"/postgres")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// answersToLogin returns nil if PostgreSQL lets a user in.
func answersToLogin(nc net.Conn) error {
	if _, err := io.WriteString(nc, "\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00"); err != nil {
		return err
	}
	kind, err := bufio.NewReader(nc).ReadByte()
	if err == nil && kind != 'R' {
		err = fmt.Errorf("it answers %q to a login", kind)
	}
	return err
}

// isHealthy returns nil if etcd has a leader.
func isHealthy(nc net.Conn) error {
	if _, err := io.WriteString(nc, "GET /health HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	text, err := io.ReadAll(nc)
	if err == nil && !strings.Contains(string(text), `"health":"true"`) {
		err = fmt.Errorf("it is not healthy: %s", text)
	}
	return err
}

func TestConformance(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := e.start(t)
			fleettest.Run(t, fleettest.Subject{
				Open: func(t testing.TB) fleet.Store { return e.open(t, s.Addr) },
				Lose: func(t testing.TB) { e.lose(t, s) },
			})
		})
		t.Run(e.name+" by its DSN", func(t *testing.T) {
			s := e.start(t)
			restart := func(testing.TB) { s.Kill(); s.Start() }
			if e.name == "etcd" {
				restart = nil // it loses nothing
			}
			fleettest.Run(t, fleettest.Subject{Lose: restart, Open: func(t testing.TB) fleet.Store {
				store, cfg, err := fleet.OpenStore(e.dsn(s.Addr) + "?limit=15")
				require.NoError(t, err)
				require.Equal(t, fleet.Config{Budget: "depot", Limit: 15}, cfg)
				t.Cleanup(func() { assert.NoError(t, store.(io.Closer).Close()) })
				return store
			}})
		})
	}
	t.Run("redis by rueidis", func(t *testing.T) {
		s := engines[0].start(t)
		fleettest.Run(t, fleettest.Subject{Open: func(t testing.TB) fleet.Store {
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			return rueidisStore(client)
		}})
	})
}

// entry is a row of n connections that lives for a minute.
func entry(owner string, n int) fleet.Entry {
	return fleet.Entry{Row: fleet.Row{Owner: owner, May: n, Held: n, Want: n, Left: time.Minute}, Grows: true}
}

// begin writes the first row of a budget, and returns the version of the ledger.
func begin(t *testing.T, store fleet.Store, budget string, first fleet.Entry) (version string) {
	ok, err := store.Write(t.Context(), budget, "", first)
	require.NoError(t, err)
	require.True(t, ok)
	l, err := store.Read(t.Context(), budget)
	require.NoError(t, err)
	return l.Version
}

// A replica that takes over, or a server that comes back, may have older data than was
// read before.
func TestAWriteForWhatWasReadBeforeARestartChangesNothing(t *testing.T) {
	for _, e := range engines[:2] { // etcd forgets nothing
		t.Run(e.name, func(t *testing.T) {
			s := e.start(t)
			store := e.open(t, s.Addr)
			version := begin(t, store, "depot", entry("a", 1))
			if e.name == "redis" {
				client := goredis.NewClient(&goredis.Options{Addr: s.Addr})
				defer client.Close()
				require.NoError(t, client.Save(t.Context()).Err())
			}
			s.Kill()
			s.Start()
			var wrote bool
			require.Eventually(t, func() (answered bool) { // the client has to connect again
				var err error
				wrote, err = store.Write(t.Context(), "depot", version, entry("b", 9))
				return err == nil
			}, 20*time.Second, 10*time.Millisecond)
			assert.False(t, wrote)
			l, err := store.Read(t.Context(), "depot")
			require.NoError(t, err)
			assert.True(t, l.Lost)
			assert.Equal(t, version, l.Version, "the data is there")
		})
	}
}

func TestRedisForgetsTheRowsOfTheDead(t *testing.T) {
	s := engines[0].start(t)
	store := engines[0].open(t, s.Addr)
	version := begin(t, store, "depot", entry("holder", 15))
	waits := func(owner string, left time.Duration) {
		ok, err := store.Write(t.Context(), "depot", version, fleet.Entry{Row: fleet.Row{Owner: owner, Want: 3, Left: left}})
		require.NoError(t, err)
		require.True(t, ok)
	}
	for i := range 10 {
		waits(fmt.Sprint("waiter ", i), time.Millisecond)
	}
	require.Eventually(t, func() bool {
		l, err := store.Read(t.Context(), "depot")
		return err == nil && len(l.Rows) == 1
	}, 20*time.Second, 10*time.Millisecond)
	waits("another", time.Minute)
	client := goredis.NewClient(&goredis.Options{Addr: s.Addr})
	defer client.Close()
	fields, err := client.HKeys(t.Context(), "hotline:fleet:depot").Result()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"version", "life", "learn", "row:holder", "row:another"}, fields)
}

func TestSessionsInDifferentTimeZonesAgree(t *testing.T) {
	s := engines[1].start(t)
	for i, zone := range []string{"UTC", "Asia/Tokyo"} {
		store, _, err := fleet.OpenStore("postgres://app@" + s.Addr + "/postgres/depot?timezone=" + zone)
		require.NoError(t, err)
		if i == 0 {
			begin(t, store, "depot", entry("a", 1))
		}
		l, err := store.Read(t.Context(), "depot")
		require.NoError(t, err)
		assert.False(t, l.Lost, zone)
	}
}

func TestAStoreThatIsAwayKeepsOnlyItsCallsWaiting(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	require.NoError(t, err)
	defer ln.Close()
	for _, text := range []string{"redis://u:s3cr3t@%s/depot", "postgres://u:s3cr3t@%s/db/depot", "etcd://u:s3cr3t@%s/depot"} {
		store, _, err := fleet.OpenStore(fmt.Sprintf(text, ln.Addr()) + "?limit=1")
		require.NoError(t, err)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err = store.Read(ctx, "depot")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		assert.NotContains(t, err.Error(), "s3cr3t")
		assert.NoError(t, store.(io.Closer).Close())
	}
}

// A commit may take as long as the call. Others may have read meanwhile that the row is
// gone, and have taken its place.
func TestPostgreSQLLetsOnlyOneOfALateRenewalAndAGrowthSucceed(t *testing.T) {
	s := engines[1].start(t)
	store := engines[1].open(t, s.Addr)
	first := entry("a", 9)
	first.Left = 10 * time.Second // less than a third of the next
	version := begin(t, store, "depot", first)
	renew := func(version string) fleet.Ledger {
		l, err := store.Read(t.Context(), "depot")
		require.NoError(t, err)
		e := entry("a", 9)
		e.Version, e.Grows = l.Rows[0].Version, false
		ok, err := store.Write(t.Context(), "depot", version, e)
		require.NoError(t, err)
		require.True(t, ok)
		l, err = store.Read(t.Context(), "depot")
		require.NoError(t, err)
		return l
	}
	late := renew(version)
	assert.NotEqual(t, version, late.Version, "a Write for the version before must fail")
	assert.Equal(t, late.Version, renew(late.Version).Version, "in time")
}

func TestEachEngineShowsWhoHasWhat(t *testing.T) {
	program := filepath.Join(t.TempDir(), "show")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./show").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := e.start(t)
			begin(t, e.open(t, s.Addr), "depot", entry("ada/1", 9))
			out, err := exec.CommandContext(t.Context(), program, e.dsn(s.Addr)+"?limit=15").CombinedOutput()
			require.NoError(t, err, string(out))
			assert.Regexp(t, `^budget "depot": 9 of 15 granted to 1 owner
 +owner +granted +held +wants +share +forgotten in
 +"ada/1" +9 +9 +9 +9 +(1m0s|59\S+s|5\d\S*s)
$`, string(out))
		})
	}
}
