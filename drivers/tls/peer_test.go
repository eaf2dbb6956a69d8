package tls_test

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// process is a server in its own process. It ends with the test, or by kill.
type process struct {
	cmd   *exec.Cmd
	ended sync.WaitGroup
}

// start runs a command. It returns the first line of output that contains ready, or
// the whole output if the process ends without one.
func start(t *testing.T, ready, command string, args ...string) (p *process, line string, ok bool) {
	t.Helper()
	p = &process{cmd: exec.Command(command, args...)}
	output, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	require.NoError(t, p.cmd.Start())
	p.ended.Go(func() {
		_ = p.cmd.Wait()
		w.Close()
	})
	t.Cleanup(p.kill)
	found := make(chan string, 1)
	p.ended.Go(func() {
		var said []string
		lines := bufio.NewScanner(output)
		for is := false; lines.Scan(); said = append(said, lines.Text()) {
			if !is && strings.Contains(lines.Text(), ready) {
				found <- lines.Text()
				is = true
			}
		}
		select {
		case found <- strings.Join(said, "\n"):
		default:
		}
	})
	select {
	case line = <-found:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the server does not get ready", command)
	}
	return p, line, strings.Contains(line, ready)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.ended.Wait()
}

// find skips the test where a command is missing.
func find(t *testing.T, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	if err != nil {
		t.Skipf("no %s in PATH to test against", command)
	}
	return path
}

// serverFiles writes the certificate of a server and that of its authority.
func serverFiles(t *testing.T, ca *testcert.CA) (caFile, cert, key string) {
	t.Helper()
	certPEM, keyPEM := testcert.PEM(ca.Server())
	return write(t, "ca.pem", ca.PEM()), write(t, "cert.pem", certPEM), write(t, "key.pem", keyPEM)
}

// dies waits until a check finds the connection dead.
func dies(t *testing.T, c *tls.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return c.ResetSession(t.Context()) != nil }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, c.ResetSession(t.Context()), driver.ErrBadConn)
	assert.False(t, c.IsValid())
}
