//go:build linux

package realserver

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testport"
)

// Program says how to run a server.
type Program struct {
	// Name is the name of the executable. It is searched in $PATH and in the folders
	// where Debian puts servers.
	Name string

	// Package is the Debian package that has it.
	Package string

	// User owns the server's folder and runs it, if the test runs as root.
	// Empty means root.
	User string

	// Configure writes the files of the server and returns the arguments that
	// run it in the foreground.
	Configure func(s *Server) (args []string)

	// Ready returns nil when the server answers on nc, which has a deadline. Nil
	// means that a server that accepts connections is ready.
	Ready func(nc net.Conn) error
}

// Server is a server, running or not. If a method fails, it fails the test. The methods
// are for one goroutine at a time.
type Server struct {
	Addr string // host:port
	Dir  string // its folder, which the test removes

	t       testing.TB
	program Program
	path    string
	args    []string
	attr    *syscall.SysProcAttr
	command *exec.Cmd
	logged  int64 // the size of the log when the server was last started
}

// folders are searched after $PATH.
var folders = []string{"/usr/sbin", "/usr/lib/postgresql/*/bin", "/usr/libexec", "/usr/lib/openssh"}

// Find returns the path of an executable, or fails or skips the test. pkg is the
// Debian package that has it.
func Find(t testing.TB, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, folder := range folders {
		if found, _ := filepath.Glob(folder + "/" + name); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	why := fmt.Sprintf("%s is not installed; install Debian's package %s", name, pkg)
	if os.Getenv("HOTLINE_SERVERS") == "required" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// Start runs a server until the test ends.
func Start(t testing.TB, p Program) *Server {
	t.Helper()
	path := Find(t, p.Name, p.Package)
	dir, err := os.MkdirTemp("", p.Package) // the path of T.TempDir is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &Server{
		Addr: testport.Reserve(t), Dir: dir,
		t: t, program: p, path: path, attr: &syscall.SysProcAttr{Setpgid: true},
	}
	if p.User != "" && os.Getuid() == 0 {
		s.attr.Credential = credential(t, p.User)
		require.NoError(t, os.Chown(dir, int(s.attr.Credential.Uid), int(s.attr.Credential.Gid)))
	}
	s.args = p.Configure(s)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			text := s.Log()
			t.Logf("the log of %s ends with:\n%s", p.Name, text[max(0, len(text)-5000):])
		}
	})
	s.Start()
	s.await(s.ready)
	return s
}

// credential returns the credential of a user and its main group.
func credential(t testing.TB, name string) *syscall.Credential {
	account, err := user.Lookup(name)
	require.NoError(t, err)
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Port returns the port of Addr.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Write writes a file in the server's folder that only the server can read, and returns
// its path.
func (s *Server) Write(name, content string) (path string) {
	s.t.Helper()
	path = filepath.Join(s.Dir, name)
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o600))
	s.own(path)
	return path
}

// Mkdir makes a folder in the server's folder that only the server can read, and returns
// its path.
func (s *Server) Mkdir(name string) (path string) {
	s.t.Helper()
	path = filepath.Join(s.Dir, name)
	require.NoError(s.t, os.Mkdir(path, 0o700))
	s.own(path)
	return path
}

func (s *Server) own(path string) {
	if c := s.attr.Credential; c != nil {
		require.NoError(s.t, os.Chown(path, int(c.Uid), int(c.Gid)))
	}
}

// Run runs another program as the server's user, such as one that creates its database.
// pkg is the Debian package that has it.
func (s *Server) Run(name, pkg string, args ...string) {
	s.t.Helper()
	command := exec.Command(Find(s.t, name, pkg), args...)
	command.Dir, command.SysProcAttr = s.Dir, s.attr
	out, err := command.CombinedOutput()
	require.NoError(s.t, err, "%s: %s", name, out)
}

// Log returns the server's output since it was last started.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.Dir + "/log")
	require.NoError(s.t, err)
	return string(text[s.logged:])
}

// Start starts a server that was killed, and waits until it listens. It makes no
// connection, because that would count against the server's limit.
func (s *Server) Start() {
	s.t.Helper()
	s.command = exec.Command(s.path, s.args...)
	s.command.Dir, s.command.SysProcAttr = s.Dir, s.attr
	log, err := os.OpenFile(s.Dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err)
	defer log.Close()
	s.own(log.Name()) // because the server may open it itself, as /dev/stdout
	info, err := log.Stat()
	require.NoError(s.t, err)
	s.logged = info.Size()
	s.command.Stdout, s.command.Stderr = log, log
	require.NoError(s.t, s.command.Start())
	s.await(s.listens)
}

// await waits until ok returns nil.
func (s *Server) await(ok func() error) {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(c *assert.CollectT) { assert.NoError(c, ok()) },
		20*time.Second, 5*time.Millisecond, "%s is not ready", s.program.Name)
}

// ready returns nil if the server answers. It returns only when the server no longer
// counts its connection against the limit.
func (s *Server) ready() error {
	nc, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if s.program.Ready != nil {
		if err := s.program.Ready(nc); err != nil {
			return err
		}
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, nc)
	time.Sleep(settle)
	return nil
}

// settle is how long a server may still count a connection after closing it, until it
// learns that the process for it has exited.
const settle = 50 * time.Millisecond
