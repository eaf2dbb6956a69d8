package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testport"
)

// build builds the command and returns the path of the binary.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hotline")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// runBinary runs the binary until it ends.
func runBinary(t *testing.T, path string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run() // the result has the exit code
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func TestBinary(t *testing.T) {
	path := build(t)
	server := exec.CommandContext(t.Context(), path, "serve", "tcp")
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	out := bufio.NewReader(stdout)
	dsn := served(t, "tcp", out)

	r := runBinary(t, path, "ping", dsn)
	r.wantSuccess(t)
	assert.Contains(t, r.out, "5 round trips: ")
	runBinary(t, path, "bench", dsn, "-c", "4", "-d", "100ms").wantSuccess(t)
	r = runBinary(t, path, "demo", "--for", "1s")
	r.wantSuccess(t)
	assert.Contains(t, r.out, "8 of 8")
	runBinary(t, path, "ping").wantFailure(t, exitUsage, `expected "<DSN>"`)
	runBinary(t, path, "ping", "tcp://"+testport.Refused(t)).wantFailure(t, exitFailed, "tcp: connect to ")

	if runtime.GOOS == "windows" { // it has no signal for this
		require.NoError(t, server.Process.Kill())
		_ = server.Wait()
		return
	}
	require.NoError(t, server.Process.Signal(syscall.SIGTERM))
	last, err := out.ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, last, "served ")
	assert.NoError(t, server.Wait())
}
