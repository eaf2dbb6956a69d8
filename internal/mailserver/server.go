//go:build linux

package mailserver

import (
	"bytes"
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
	"github.com/hotline-go/hotline/internal/testport"
)

// The account of every server. Its INBOX is empty at first.
const (
	User     = "ada@example.org"
	Password = "p4ss,w/rd@"
)

// Options change the configuration of a server.
type Options struct {
	// MaxLogins is how many sessions the account may have at a time. Zero
	// means 100.
	MaxLogins int

	// Users are additional accounts with the same password. Only Dovecot supports
	// them.
	Users []string

	// Password is the password of all accounts. Empty means the constant Password.
	// Only Dovecot supports it.
	Password string

	// TokenInfo makes Dovecot accept OAuth tokens. To check one, it appends the token
	// and more parameters to this URL and GETs it. The answer says whether the token
	// is active, and for which user: {"active": true, "user": "ada@example.org"}.
	// Empty means passwords only.
	TokenInfo string
}

// Server is a running mail server. If a method fails, it fails the test. The methods
// are for one goroutine at a time, except Kick, Kill and Sessions, which any goroutine
// may call while the server runs.
type Server struct {
	Name  string       // such as "dovecot"
	Plain string       // address for plain text and STARTTLS
	TLS   string       // address for TLS from the first byte
	CA    *testcert.CA // signed its certificate

	t       testing.TB
	dir     string
	options Options
	kind    Kind
	command *exec.Cmd
}

// Kind is a kind of server: [Dovecot] or [Cyrus].
type Kind interface {
	// obstacle returns the reason why the server can't run here, or "".
	obstacle() string

	// configure writes its files, and returns the command that runs it in the
	// foreground.
	configure(s *Server) (command []string)

	// sessions returns the processes of logged-in sessions.
	sessions(s *Server) (pids []int)

	// kick hangs up on all sessions.
	kick(s *Server)

	name() string
}

// Start starts a server of that kind, which runs until the test ends. If it can't, it
// skips the test; if the environment variable HOTLINE_MAILSERVERS is "required", it
// fails the test instead.
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
	dir, err := os.MkdirTemp("", kind.name()) // the path of T.TempDir is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	s := &Server{
		Name: kind.name(), Plain: testport.Reserve(t), TLS: testport.Reserve(t), CA: testcert.NewCA(),
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

// obstacle returns the reason why a server of that kind can't run here, or "".
func obstacle(kind Kind) string {
	if os.Getuid() != 0 {
		return kind.name() + " must change its user, which only root can do"
	}
	return kind.obstacle()
}

// write writes a file in the server's folder.
func (s *Server) write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644))
}

// fill replaces the @ placeholders in text with the values of this server.
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
	_ = c.SetDeadline(time.Now().Add(time.Second)) // it may hang while starting
	var b [4]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && string(b[:]) == "* OK"
}

// Stop ends the server and everything it started, as an init system does: SIGTERM,
// and SIGKILL soon after.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(100 * time.Millisecond)
}

func (s *Server) end(patience time.Duration) {
	s.t.Helper()
	if s.command.Process == nil || s.command.ProcessState != nil {
		return // it did not start, or has ended: another process may have its id now
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

// Sessions returns how many sessions are logged in now, by counting their processes.
// A session that ends is counted until its process exits.
func (s *Server) Sessions() int { return len(s.kind.sessions(s)) }

// Kick makes the server hang up on all current sessions, with or without a farewell,
// depending on the server.
func (s *Server) Kick() { s.kind.kick(s) }

// Kill kills the processes of all current sessions, which can't say goodbye.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Signal sends sig to the processes of all sessions. There must be at least one.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	require.NotZero(s.t, s.signal(sig), "nobody is logged in")
}

// SignalAll sends sig to the server and everything it started. After SIGKILL, Stop and
// Start bring it back.
func (s *Server) SignalAll(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, syscall.Kill(-s.command.Process.Pid, sig))
}

func (s *Server) signal(sig syscall.Signal) (n int) {
	pids := s.kind.sessions(s)
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
	return len(pids)
}

// processes returns the server's processes with that name, or all if name is empty.
func (s *Server) processes(name string) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, _ := os.ReadFile(file) // for example: 7 (imap) S 1 7
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
