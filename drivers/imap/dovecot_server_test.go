//go:build linux

package imap_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testcert"
)

// dovecotConfig is for Dovecot 2.3. It logs in without the pauses with which
// Dovecot answers wrong passwords.
const dovecotConfig = `
base_dir = DIR/run
state_dir = DIR/run
log_path = DIR/log
protocols = imap
listen = 127.0.0.1
first_valid_uid = 1
ssl = yes
ssl_cert = <DIR/cert.pem
ssl_key = <DIR/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
mail_location = maildir:~/Maildir
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u DIR/passwd
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=DIR/mail/%u
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = PLAIN
  }
  inet_listener imaps {
    port = TLS
    ssl = yes
  }
}
protocol imap {
  mail_max_userip_connections = LIMIT
}
`

// dovecot is a mail server of its own process group, with one account.
type dovecot struct {
	t          testing.TB
	dir        string
	ca         *testcert.CA
	plain, tls string // addresses
	command    *exec.Cmd
}

// startDovecot starts a server that lets the account have limit connections,
// or skips the test.
func startDovecot(t testing.TB, limit int) *dovecot {
	t.Helper()
	if _, err := exec.LookPath("dovecot"); err != nil {
		t.Skip("there is no dovecot in PATH; install dovecot-imapd")
	}
	if os.Getuid() != 0 {
		t.Skip("dovecot changes its user, which only root can")
	}
	if version, _ := exec.Command("dovecot", "--version").Output(); !strings.HasPrefix(string(version), "2.3.") {
		t.Skipf("the configuration is for Dovecot 2.3, not %s", version)
	}
	dir, err := os.MkdirTemp("", "dovecot") // T.TempDir is too long a path for its sockets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &dovecot{t: t, dir: dir, ca: testcert.NewCA(), plain: freeAddress(t), tls: freeAddress(t)}
	d.configure(limit)
	d.start()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			text, _ := os.ReadFile(dir + "/log")
			t.Logf("the log of dovecot:\n%s", text[max(0, len(text)-5000):])
		}
	})
	return d
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (d *dovecot) configure(limit int) {
	cert, key := testcert.PEM(d.ca.Server())
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	text := strings.NewReplacer("DIR", d.dir, "PLAIN\n", port(d.plain)+"\n", "TLS\n", port(d.tls)+"\n", "LIMIT", strconv.Itoa(limit)).Replace(dovecotConfig)
	for name, content := range map[string]string{
		"conf": text, "cert.pem": string(cert), "key.pem": string(key), "passwd": account + ":{PLAIN}" + password + "::::::\n",
	} {
		require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o644))
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(d.t, err)
	uid, _ := strconv.Atoi(nobody.Uid)
	require.NoError(d.t, os.Mkdir(d.dir+"/run", 0o755))
	require.NoError(d.t, os.Mkdir(d.dir+"/mail", 0o755))
	require.NoError(d.t, os.Chown(d.dir+"/mail", uid, -1))
	require.NoError(d.t, os.Chmod(d.dir, 0o755))
}

// start starts the server and waits until it accepts.
func (d *dovecot) start() {
	d.t.Helper()
	d.command = exec.Command("dovecot", "-F", "-c", d.dir+"/conf")
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(d.t, d.command.Start())
	require.Eventually(d.t, func() bool {
		c, err := net.Dial("tcp", d.tls)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}, 10*time.Second, 10*time.Millisecond, "dovecot does not accept")
}

// stop ends the server and all that it has started, as an init system does.
func (d *dovecot) stop() {
	group := -d.command.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	impatient := time.AfterFunc(300*time.Millisecond, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	_ = d.command.Wait()
	impatient.Stop()
	require.Eventually(d.t, func() bool {
		return syscall.Kill(group, syscall.SIGKILL) == syscall.ESRCH
	}, 10*time.Second, 10*time.Millisecond, "dovecot does not end")
	_ = os.Remove(d.dir + "/run/master.pid")
}

// processes returns the processes of that name.
func (d *dovecot) processes(name string) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, _ := os.ReadFile(file)
		if _, rest, ok := bytes.Cut(text, []byte("("+name+") ")); ok {
			fields := strings.Fields(string(rest)) // state, parent, group
			if len(fields) > 2 && fields[2] == strconv.Itoa(d.command.Process.Pid) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// signal sends s to all processes of IMAP sessions.
func (d *dovecot) signal(s syscall.Signal) {
	d.t.Helper()
	pids := d.processes("imap")
	require.NotEmpty(d.t, pids)
	for _, pid := range pids {
		require.NoError(d.t, syscall.Kill(pid, s))
	}
}

// kill crashes the sessions that there are.
func (d *dovecot) kill() {
	for _, pid := range d.processes("imap") {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// kick has the server hang up on the account.
func (d *dovecot) kick() {
	_ = exec.Command("doveadm", "-c", d.dir+"/conf", "kick", account).Run() // it fails if nobody is there
}

// config is for the server with TLS from the first byte, or what encryption says.
func (d *dovecot) config(encryption string) imap.Config {
	d.t.Helper()
	address, scheme := d.tls, "imaps"
	if encryption != imap.Implicit {
		address, scheme = d.plain, "imap"
	}
	c, err := imap.ParseDSN(scheme + "://" + login + address)
	require.NoError(d.t, err)
	c.TLS, c.Encryption = &tls.Config{RootCAs: d.ca.Pool()}, encryption
	return c
}

func (d *dovecot) connector(c imap.Config) driver.Connector {
	d.t.Helper()
	connector, err := imap.NewConnector(c)
	require.NoError(d.t, err)
	return connector
}

func (d *dovecot) dial(encryption string) *imap.Conn {
	d.t.Helper()
	c, err := connectTo(d.t, d.connector(d.config(encryption)))
	require.NoError(d.t, err)
	return c
}

// fill puts n small messages and a big one into the INBOX.
func (d *dovecot) fill(n, big int) {
	d.t.Helper()
	c := d.dial(imap.None)
	defer c.Close()
	for i := range n + 1 {
		text := message(10)
		if i == n {
			text = message(big)
		}
		require.NoError(d.t, appendMail(c, text))
	}
}

func appendMail(c *imap.Conn, text string) error {
	a := c.Append("INBOX", int64(len(text)), nil)
	if _, err := a.Write([]byte(text)); err != nil {
		_ = a.Close()
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	_, err := a.Wait()
	return err
}

// ended waits until c knows that the server has hung up.
func ended(t testing.TB, c *imap.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return !c.IsValid() }, 5*time.Second, time.Millisecond)
}

// bounded returns a context of d.
func bounded(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
