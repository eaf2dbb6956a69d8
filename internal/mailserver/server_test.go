//go:build linux

package mailserver_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hotline-go/hotline/internal/mailserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs f on a server of each kind.
func each(t *testing.T, options mailserver.Options, f func(t *testing.T, s *mailserver.Server)) {
	for name, kind := range map[string]mailserver.Kind{"dovecot": mailserver.Dovecot, "cyrus": mailserver.Cyrus} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mailserver.Start(t, kind, options)
			assert.Equal(t, name, s.Name)
			f(t, s)
		})
	}
}

// session is a connection to a server.
type session struct{ *textproto.Conn }

// login connects to s with TLS and logs in.
func login(t *testing.T, s *mailserver.Server, password string) (c session, answer string) {
	t.Helper()
	nc, err := tls.Dial("tcp", s.TLS, s.CA.ClientConfig())
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
	c = session{textproto.NewConn(nc)}
	greeting, err := c.ReadLine()
	require.NoError(t, err)
	require.Contains(t, greeting, "* OK")
	return c, c.ask(t, fmt.Sprintf("LOGIN %q %q", mailserver.User, password))
}

// ask sends a command and returns its answer.
func (c session) ask(t *testing.T, command string) string {
	t.Helper()
	require.NoError(t, c.PrintfLine("a %s", command))
	for {
		line, err := c.ReadLine()
		require.NoError(t, err)
		if answer, ok := strings.CutPrefix(line, "a "); ok {
			return answer
		}
	}
}

// wantEnd waits until the server has hung up.
func (c session) wantEnd(t *testing.T) {
	t.Helper()
	_, err := io.Copy(io.Discard, c.R)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// wantSessions waits until the server has n sessions.
func wantSessions(t *testing.T, s *mailserver.Server, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Sessions() == n }, 10*time.Second, 5*time.Millisecond, "want %d sessions", n)
}

func TestTheAccountIsThere(t *testing.T) {
	each(t, mailserver.Options{}, func(t *testing.T, s *mailserver.Server) {
		c, answer := login(t, s, mailserver.Password)
		assert.Contains(t, answer, "OK")
		assert.Contains(t, c.ask(t, "SELECT INBOX"), "OK")
		_, answer = login(t, s, "wrong")
		assert.Contains(t, answer, "NO")
		plain, err := net.Dial("tcp", s.Plain)
		require.NoError(t, err)
		defer plain.Close()
		greeting, err := textproto.NewConn(plain).ReadLine()
		require.NoError(t, err)
		assert.Contains(t, greeting, "STARTTLS")
	})
}

func TestTheAccountIsLimited(t *testing.T) {
	each(t, mailserver.Options{MaxLogins: 2}, func(t *testing.T, s *mailserver.Server) {
		for _, want := range []string{"OK", "OK", "NO"} {
			_, answer := login(t, s, mailserver.Password)
			assert.Contains(t, answer, want)
		}
		wantSessions(t, s, 2)
	})
}

func TestSessionsEnd(t *testing.T) {
	each(t, mailserver.Options{}, func(t *testing.T, s *mailserver.Server) {
		for _, end := range []func(){s.Kick, s.Kill, func() { s.Stop(); s.Start() }} {
			wantSessions(t, s, 0)
			c1, _ := login(t, s, mailserver.Password)
			c2, _ := login(t, s, mailserver.Password)
			wantSessions(t, s, 2)
			end()
			c1.wantEnd(t)
			c2.wantEnd(t)
		}
		wantSessions(t, s, 0)
	})
}

func TestSessionsStop(t *testing.T) {
	each(t, mailserver.Options{}, func(t *testing.T, s *mailserver.Server) {
		c, _ := login(t, s, mailserver.Password)
		s.Signal(syscall.SIGSTOP)
		require.NoError(t, c.PrintfLine("b NOOP"))
		answer := make(chan string)
		go func() { // ends with the answer
			line, _ := c.ReadLine()
			answer <- line
		}()
		select {
		case line := <-answer:
			t.Errorf("a stopped server sent %q", line)
		case <-time.After(50 * time.Millisecond):
			s.Signal(syscall.SIGCONT)
			assert.Contains(t, <-answer, "b OK")
		}
	})
}
