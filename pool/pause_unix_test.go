//go:build unix

package pool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
)

// pausedProcess is the environment variable that makes the test binary run as the
// process of TestPausedProcess.
const pausedProcess = "HOTLINE_POOL_TEST_PAUSE"

const pauseValidateAfter = 300 * time.Millisecond

// TestPausedProcess runs in its own process. It uses one connection in a loop, stops
// its process, and prints how many pings the first lease after the pause caused.
func TestPausedProcess(t *testing.T) {
	if os.Getenv(pausedProcess) == "" {
		t.Skip("runs as part of another test")
	}
	runtime.GOMAXPROCS(1) // so that overdue timers run in order, even on a busy machine
	var pings atomic.Int64
	p, err := pool.New[pingedConn](pingedConnector{&pings}, pool.Config{MaxOpen: 1, ValidateAfter: pauseValidateAfter})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	lend := func() {
		l, err := p.Acquire(context.Background())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		l.Release()
	}
	for range 300 { // takes several sweeps, and uses the connection after the last one
		lend()
		<-time.After(time.Millisecond)
	}
	lend()
	before := pings.Load()
	stopped := time.Now()
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	for time.Since(stopped) < pauseValidateAfter { // the signal may take a moment
		<-time.After(time.Millisecond)
	}
	<-time.After(20 * time.Millisecond) // lets the overdue sweep run, because Acquire does not read the clock
	for range 10 {
		runtime.Gosched() // the sweep may have become ready first and run last
	}
	lend()
	fmt.Println(pings.Load() - before)
	os.Exit(0)
}

// pingedConnector makes connections that count their pings.
type pingedConnector struct{ pings *atomic.Int64 }

func (c pingedConnector) Connect(context.Context) (driver.Conn, error) { return pingedConn(c), nil }

type pingedConn struct{ pings *atomic.Int64 }

func (c pingedConn) Ping(context.Context) error { c.pings.Add(1); return nil }
func (c pingedConn) Close() error               { return nil }

// A process that was stopped, like one in a frozen container, does not know what
// happened to its connections meanwhile. After the pause, even a connection used just
// before it must be pinged.
func TestConnectionIsCheckedAfterAPauseOfTheProcess(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	require.NoError(t, err)
	child := exec.Command(binary, "-test.run=^TestPausedProcess$")
	child.Env = append(os.Environ(), pausedProcess+"=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
	})
	limit := time.AfterFunc(20*time.Second, func() { child.Process.Kill() })
	defer limit.Stop()

	var status syscall.WaitStatus
	_, err = syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped())
	<-time.After(2 * pauseValidateAfter)
	require.NoError(t, child.Process.Signal(syscall.SIGCONT))
	in := bufio.NewScanner(out)
	require.True(t, in.Scan(), "the process has ended: %v", in.Err())
	assert.Equal(t, "1", in.Text(), "pings for the first lease after the pause")
}
