//go:build linux

package ssh_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	_ "github.com/hotline-go/hotline/examples/ssh"
)

func TestMain(m *testing.M) { storm.Main(m) }

const passphrase = "p4ss,w/rd"

// sshd is a server with its key pair, and a key pair for the account that runs the test.
type sshd struct {
	*realserver.Server
	account string
	query   string // of a DSN
}

// start runs a server that refuses a connection while limit others have not logged in
// yet.
func start(t testing.TB, limit int) sshd {
	account, err := user.Current()
	require.NoError(t, err)
	if account.Uid == "0" {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) // sshd needs this empty folder, which the boot script would make
	}
	s := sshd{account: account.Username}
	s.Server = realserver.Start(t, realserver.Program{
		Name: "sshd", Package: "openssh-server",
		Configure: func(server *realserver.Server) []string {
			hostKey, hostPublic := newKey(server, "host", "")
			key, public := newKey(server, "id", passphrase)
			known, err := os.ReadFile(hostPublic)
			require.NoError(t, err)
			s.query = "?key=" + url.QueryEscape(key) + "&host_key=" + url.QueryEscape(strings.TrimSpace(string(known)))
			config := []string{
				"ListenAddress 127.0.0.1:" + server.Port(),
				"HostKey " + hostKey,
				"AuthorizedKeysFile " + public,
				"StrictModes no", "PermitRootLogin yes", "UsePAM no", "PidFile none", "LogLevel VERBOSE",
				fmt.Sprintf("MaxStartups %d:100:%[1]d", limit),
			}
			return []string{"-D", "-e", "-f", server.Write("config", strings.Join(config, "\n")+"\n")}
		},
	})
	return s
}

// newKey makes a key pair in the server's folder and returns its files.
func newKey(s *realserver.Server, name, passphrase string) (private, public string) {
	private = filepath.Join(s.Dir, name)
	s.Run("ssh-keygen", "openssh-client", "-q", "-t", "ed25519", "-a", "1", "-C", "", "-N", passphrase, "-f", private)
	return private, private + ".pub"
}

func (s sshd) dsn(addr string) string {
	return "ssh://" + s.account + ":" + url.QueryEscape(passphrase) + "@" + addr + s.query
}

func TestConformance(t *testing.T) {
	s := start(t, 100)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("ssh", s.dsn(addr))
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return exchange(client(c), 1) },
			Leftover:  func(c driver.Conn) error { return errors.Join(leave(client(c)), exchange(client(c), 2)) },
			Secrets:   []string{passphrase},
			BadDSN: func() error {
				_, err := driver.OpenConnector("ssh", s.dsn(addr)+"&nosuch=1")
				return err
			},
		}
	})
}

// leave runs a command and leaves its session and its output open.
func leave(c *ssh.Client) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	if _, err := session.StdoutPipe(); err != nil {
		return err
	}
	return session.Start("echo left over")
}

func client(c driver.Conn) *ssh.Client {
	client, _ := driver.As[*ssh.Client](c)
	return client
}

// exchange runs a command whose output depends on n.
func exchange(c *ssh.Client, n int) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	out, err := session.Output(fmt.Sprint("echo answer ", n))
	if err != nil {
		return err
	}
	return storm.Check(string(out), fmt.Sprint("answer ", n, "\n"))
}

// The storm uses tunnels, because commands are slow to start.
func TestStorm(t *testing.T) {
	const maxOpen = 12
	s := start(t, maxOpen)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	drivertest.Serve(t, ln, drivertest.Each(func(c net.Conn) { _, _ = io.Copy(c, c) }))
	storm.Storm[*ssh.Client]{
		Server: s.Server, MaxOpen: maxOpen, Cut: 4000, Patience: time.Second,
		Connector: func(addr string) (driver.Connector, error) { return driver.OpenConnector("ssh", s.dsn(addr)) },
		Exchange:  func(_ context.Context, c *ssh.Client, n int) error { return echo(c, ln.Addr().String(), n) },
		Refused:   func() int { return strings.Count(s.Log(), "past MaxStartups") },
	}.Run(t)
}

// echo sends a line through a tunnel to a server that sends it back.
func echo(c *ssh.Client, addr string, n int) error {
	tunnel, err := c.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer tunnel.Close()
	want := fmt.Sprint("answer ", n, "\n")
	if _, err := io.WriteString(tunnel, want); err != nil {
		return err
	}
	got, err := bufio.NewReader(tunnel).ReadString('\n')
	if err != nil {
		return err
	}
	return storm.Check(got, want)
}

func TestAnUnknownKeyIsPermanent(t *testing.T) {
	s, other := start(t, 10), start(t, 10)
	_, key, _ := strings.Cut(s.query, "&")
	_, otherKey, _ := strings.Cut(other.query, "&")
	for name, query := range map[string]string{
		"the server's": strings.ReplaceAll(s.query, key, otherKey),
		"the client's": strings.ReplaceAll(other.query, otherKey, key),
	} {
		t.Run(name, func(t *testing.T) {
			s := s
			s.query = query
			connector, err := driver.OpenConnector("ssh", s.dsn(s.Addr))
			require.NoError(t, err)
			_, err = connector.Connect(t.Context())
			assert.True(t, driver.IsPermanent(err), "%v", err)
		})
	}
}

func TestTheProgramRunsCommands(t *testing.T) {
	s := start(t, 10)
	out := realserver.GoRun(t, "./program", "DSN="+s.dsn(s.Addr), "echo one\necho two; exit 3\n")
	assert.Contains(t, out, "$ echo one\none\n")
	assert.Contains(t, out, "$ echo two; exit 3\ntwo\nProcess exited with status 3\n")
}
