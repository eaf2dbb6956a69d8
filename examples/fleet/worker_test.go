//go:build linux

package fleet_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/go-logr/stdr"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	_ "github.com/hotline-go/hotline/drivers/tcp"
	_ "github.com/hotline-go/hotline/examples/postgres"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
)

// The environment variables of a worker, which is another process of this test binary.
const (
	workerName   = "HOTLINE_FLEET_WORKER" // set only in a worker
	workerBudget = "HOTLINE_FLEET_BUDGET" // the DSN of its budget
	workerServer = "HOTLINE_FLEET_SERVER" // the DSN of its server
)

// wanted is how many connections each worker wants.
const wanted = 10

func TestMain(m *testing.M) {
	if name := os.Getenv(workerName); name != "" {
		if err := work(name); err != nil {
			log.Fatal(name, ": ", err)
		}
		return
	}
	os.Exit(m.Run())
}

// work uses as many connections as it gets, until SIGTERM.
func work(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, cfg, err := fleet.OpenStore(os.Getenv(workerBudget))
	if err != nil {
		return err
	}
	cfg.Owner = name
	cfg.Logger = stdr.New(log.New(os.Stderr, name+" ", log.Ltime|log.Lmicroseconds))
	gate, err := fleet.New(store, cfg)
	if err != nil {
		return err
	}
	defer gate.Close()
	server := os.Getenv(workerServer)
	if strings.HasPrefix(server, "tcp:") {
		return use(ctx, "tcp", server, gate, func(_ context.Context, c net.Conn) error { return request(c, name) })
	}
	return use(ctx, "postgres", server, gate, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select pg_sleep(0.02)")
		return err
	})
}

// use makes requests over a pool until ctx ends.
func use[C any](ctx context.Context, driver, server string, gate pool.Gate, request func(context.Context, C) error) error {
	p, err := pool.Open[C](driver, server, pool.Config{MaxOpen: wanted, KeepAlive: 200 * time.Millisecond, AcquireTimeout: -1, Gate: gate})
	if err != nil {
		return err
	}
	for range wanted {
		go func() {
			for ctx.Err() == nil {
				if p.Do(ctx, request) != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
		}()
	}
	<-ctx.Done()
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.Shutdown(soon)
}

// request makes a request and thinks about the answer for a while.
func request(c net.Conn, name string) error {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, "WORK "+name+"\n"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond)
	return nil
}

// worker is a process that works or has ended.
type worker struct {
	t       *testing.T
	name    string
	starts  int
	env     []string
	link    *toxiproxy.Proxy // its connection to the store
	command *exec.Cmd        // nil = it has ended
}

// newWorker starts a worker. budget makes the DSN for an address of the store.
func newWorker(t *testing.T, name, store, server string, budget func(addr string) string) *worker {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log to the global logger
	link := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, "127.0.0.1:0", store)
	require.NoError(t, link.Start())
	t.Cleanup(link.Stop)
	w := &worker{t: t, name: name, link: link, env: append(os.Environ(),
		workerBudget+"="+budget(link.Listen), workerServer+"="+server)}
	w.start()
	t.Cleanup(w.kill)
	return w
}

// start starts the process of a worker. Each process has a name of its own.
func (w *worker) start() {
	w.starts++
	w.command = exec.Command(os.Args[0])
	w.command.Env = append(w.env, workerName+"="+w.id())
	w.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if testing.Verbose() {
		w.command.Stderr = os.Stderr
	}
	require.NoError(w.t, w.command.Start())
}

func (w *worker) id() string { return w.name + "." + strconv.Itoa(w.starts) }

// kill ends the worker as kill -9 does.
func (w *worker) kill() { w.end(syscall.SIGKILL) }

// end ends the worker.
func (w *worker) end(by syscall.Signal) {
	if w.command == nil {
		return
	}
	w.signal(by)
	_ = w.command.Wait()
	w.command = nil
}

func (w *worker) signal(s syscall.Signal) { _ = w.command.Process.Signal(s) }

// spoil adds a toxic to the connection to the store, in both directions, and returns
// a function that removes it.
func (w *worker) spoil(kind, attributes string) (heal func()) {
	for _, stream := range []string{"upstream", "downstream"} {
		_, err := w.link.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name": %q, "type": %q, "stream": %q, "attributes": %s}`, stream, kind, stream, attributes)))
		require.NoError(w.t, err)
	}
	return func() {
		for _, stream := range []string{"upstream", "downstream"} {
			require.NoError(w.t, w.link.Toxics.RemoveToxic(context.Background(), stream))
		}
	}
}
