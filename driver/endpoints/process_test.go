package endpoints_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testcert"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
)

// serverEnv and addressEnv are environment variables. If the first is tcp or tls, this
// program serves PING over that, at the address in the second, instead of running tests.
const (
	serverEnv  = "HOTLINE_TEST_PING"
	addressEnv = "HOTLINE_TEST_PING_AT"
)

// serveIfAsked returns if serverEnv is not set. Otherwise it serves PING until the
// test that started this program ends, and exits.
func serveIfAsked() {
	scheme := os.Getenv(serverEnv)
	if scheme == "" {
		return
	}
	ca := testcert.NewCA()
	listen := testserver.TCP
	if scheme == "tls" {
		listen = func(addr string) (net.Listener, error) { return tls.Listen("tcp", addr, ca.ServerConfig("127.0.0.1")) }
	}
	s, err := testserver.Start(listen, os.Getenv(addressEnv), new(testserver.Ping).Serve)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Addr(), base64.StdEncoding.EncodeToString(ca.PEM()))
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// process is a PING server that can be stopped and killed.
type process struct {
	*os.Process
	addr string
	ca   []byte // of its certificate
}

// startProcess starts a server that ends with the test.
func startProcess(t testing.TB, scheme string) process {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverEnv+"="+scheme, addressEnv+"="+testport.Reserve(t))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := process{Process: cmd.Process}
	var ca string
	_, err = fmt.Fscanln(bufio.NewReader(out), &p.addr, &ca)
	require.NoError(t, err)
	p.ca, err = base64.StdEncoding.DecodeString(ca)
	require.NoError(t, err)
	return p
}
