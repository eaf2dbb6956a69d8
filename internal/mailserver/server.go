//go:build linux

package mailserver

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testcert"
)

// The account that every server has. Its INBOX is empty.
const (
	User     = "ada@example.org"
	Password = "p4ss,w/rd@"
)

// Options are what tests want to be different.
type Options struct {
	// MaxLogins is how many sessions the account may have at a time. Zero
	// means 100.
	MaxLogins int

	// TokenInfo has Dovecot take OAuth tokens. It appends a token to this URL,
	// and more parameters, and GETs whether it is active, and whose it is, as in
	// {"active": true, "user": "ada@example.org"}. Empty means passwords only.
	TokenInfo string
}

// Server is a running mail server. Its methods fail the test where they can't
// do what they should. They are for one goroutine at a time, except Kick, Kill
// and Sessions, which any may call while the server runs.
type Server struct {
	Name  string       // as in "dovecot"
	Plain string       // address for plain text and STARTTLS
	TLS   string       // address for TLS from the first byte
	CA    *testcert.CA // which has signed its certificate

	t       testing.TB
	dir     string
	options Options
	kind    Kind
	command *exec.Cmd
}

// Kind is a product.
type Kind interface {
	// obstacle returns why it can't run here, or "".
	obstacle() string

	// configure writes its files, and returns how to run it in the foreground.
	configure(s *Server) (command []string)

	// sessions returns the processes of those who are logged in.
	sessions(s *Server) (pids []int)

	// kick hangs up on them.
	kick(s *Server)

	name() string
}

// Start starts a server of that kind, until the test ends, or skips the test.
// Where the environment variable HOTLINE_MAILSERVERS is "required", it fails the
// test instead.
func Start(t testing.TB, kind Kind, options Options) *Server {
	t.Helper()
	if why := obstacle(kind); why != "" {
		if os.Getenv("HOTLINE_MAILSERVERS") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if options.MaxLogins == 0 {
		options.MaxLogins = 100
	}
	dir, err := os.MkdirTemp("", kind.name()) // T.TempDir is too long a path for sockets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &Server{
		Name: kind.name(), Plain: address(t), TLS: address(t), CA: testcert.NewCA(),
		t: t, dir: dir, options: options, kind: kind,
	}
	cert, key := testcert.PEM(s.CA.Server())
	s.write("cert.pem", string(cert))
	s.write("key.pem", string(key))
	command := kind.configure(s)
	s.command = exec.Command(command[0], command[1:]...)
	t.Cleanup(func() {
		s.end(0)
		if t.Failed() {
			text, _ := os.ReadFile(dir + "/log")
			t.Logf("the log of %s:\n%s", s.Name, text[max(0, len(text)-5000):])
		}
	})
	s.Start()
	return s
}

// obstacle returns why a server of that kind can't run here, or "".
func obstacle(kind Kind) string {
	if os.Getuid() != 0 {
		return kind.name() + " changes its user, which only root can"
	}
	return kind.obstacle()
}

// address returns one that is the server's own until the test ends. A socket is
// bound to it and does not listen, so that nobody else is given the port, also
// while the server is down; who sets SO_REUSEADDR, as servers do, can listen.
func address(t testing.TB) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// write writes a file in the server's folder.
func (s *Server) write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644))
}

// fill is text with what is this server's own in place of the words in capitals.
func (s *Server) fill(text string) string {
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	return strings.NewReplacer("@DIR", s.dir, "@PLAIN", port(s.Plain), "@TLS", port(s.TLS),
		"@LIMIT", strconv.Itoa(s.options.MaxLogins), "@TOKENINFO", s.options.TokenInfo).Replace(text)
}

// Start starts a server that was stopped, and waits until it greets.
func (s *Server) Start() {
	s.t.Helper()
	s.command = exec.Command(s.command.Path, s.command.Args[1:]...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err)
	defer log.Close()
	s.command.Stdout, s.command.Stderr = log, log
	require.NoError(s.t, s.command.Start())
	require.Eventually(s.t, s.greets, 10*time.Second, 10*time.Millisecond, "%s does not greet", s.Name)
}

func (s *Server) greets() bool {
	c, err := net.Dial("tcp", s.Plain)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second)) // it may hang in its start
	var b [4]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && string(b[:]) == "* OK"
}

// Stop ends the server and all that it has started, as an init system does: it
// asks, and soon it does not ask any more.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(100 * time.Millisecond)
}

func (s *Server) end(patience time.Duration) {
	s.t.Helper()
	if s.command.Process == nil || s.command.ProcessState != nil {
		return // it could not be started, or has ended: its id may be somebody else's
	}
	group := -s.command.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	impatient := time.AfterFunc(patience, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	_ = s.command.Wait()
	impatient.Stop()
	require.Eventually(s.t, func() bool {
		if len(s.processes("")) == 0 {
			return true
		}
		_ = syscall.Kill(group, syscall.SIGKILL)
		return false
	}, 10*time.Second, 10*time.Millisecond, "%s does not end", s.Name)
}

// Sessions returns how many sessions are logged in now, by the processes that
// serve them. One that ends is counted until its process has.
func (s *Server) Sessions() int { return len(s.kind.sessions(s)) }

// Kick has the server hang up on all sessions that there are, with or without
// a farewell, as is its way.
func (s *Server) Kick() { s.kind.kick(s) }

// Kill ends the processes of all sessions that there are, without a chance to
// say goodbye.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Signal sends sig to the processes of all sessions, of which there must be one.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	require.NotZero(s.t, s.signal(sig), "nobody is logged in")
}

func (s *Server) signal(sig syscall.Signal) (n int) {
	pids := s.kind.sessions(s)
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
	return len(pids)
}

// processes returns the server's processes of that name, or all.
func (s *Server) processes(name string) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, _ := os.ReadFile(file) // as in: 7 (imap) S 1 7
		head, tail, _ := bytes.Cut(text, []byte(") "))
		id, command, _ := bytes.Cut(head, []byte(" ("))
		fields := strings.Fields(string(tail)) // state, parent, group
		if len(fields) < 3 || fields[0] == "Z" || fields[2] != strconv.Itoa(s.command.Process.Pid) {
			continue
		}
		if name == "" || name == string(command) {
			pid, _ := strconv.Atoi(string(id))
			pids = append(pids, pid)
		}
	}
	return pids
}
