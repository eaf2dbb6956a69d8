//go:build linux

package mailserver

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

// Cyrus is Cyrus IMAP 3, from Debian's cyrus-imapd. It supports PLAIN, LOGIN and
// SCRAM-SHA-256, and does not pause after wrong passwords.
//
// It has no kick command, so Kick sends SIGTERM to the processes of the sessions; the
// client only sees the end of the connection. A killed session counts against MaxLogins
// forever.
var Cyrus Kind = cyrus{}

type cyrus struct{}

const (
	cyrusPrograms = "/usr/lib/cyrus/bin/"

	cyrusConfig = `
configdirectory: @DIR/conf
defaultpartition: default
partition-default: @DIR/mail
idlesocket: @DIR/conf/idle
unixhierarchysep: yes
virtdomains: userid
allowplaintext: yes
failedloginpause: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @DIR/sasldb
sasl_mech_list: PLAIN LOGIN SCRAM-SHA-256
tls_server_cert: @DIR/cert.pem
tls_server_key: @DIR/key.pem
maxlogins_per_user: @LIMIT
autocreate_quota: 0
autocreate_post: yes
`
	// Each process serves one client (-U 1).
	cyrusServices = `
START {
  recover cmd="@BINctl_cyrusdb -C @DIR/imapd.conf -r"
  idled cmd="@BINidled -C @DIR/imapd.conf"
}
SERVICES {
  imap cmd="@BINimapd -C @DIR/imapd.conf -U 1" listen="127.0.0.1:@PLAIN"
  imaps cmd="@BINimapd -C @DIR/imapd.conf -U 1 -s" listen="127.0.0.1:@TLS"
}
EVENTS {
}
`
)

func (cyrus) name() string { return "cyrus" }

func (cyrus) obstacle() string {
	for _, program := range []string{"master", "imapd", "idled", "ctl_cyrusdb"} {
		if _, err := os.Stat(cyrusPrograms + program); err != nil {
			return "can't run Cyrus IMAP (" + err.Error() + "); install cyrus-imapd, or only its files if there is another server"
		}
	}
	if _, err := exec.LookPath("db_load"); err != nil {
		return "can't create an account of Cyrus IMAP (" + err.Error() + "); install db-util"
	}
	return ""
}

func (cyrus) configure(s *Server) []string {
	s.write("imapd.conf", s.fill(cyrusConfig))
	s.write("cyrus.conf", strings.ReplaceAll(s.fill(cyrusServices), "@BIN", cyrusPrograms))
	account, err := user.Lookup("cyrus")
	require.NoError(s.t, err)
	uid, _ := strconv.Atoi(account.Uid)
	for _, folder := range []string{"/conf", "/conf/socket", "/mail"} {
		require.NoError(s.t, os.Mkdir(s.dir+folder, 0o755))
		require.NoError(s.t, os.Chown(s.dir+folder, uid, -1))
	}
	name, realm, _ := strings.Cut(User, "@")
	passwords := exec.Command("db_load", "-T", "-t", "hash", s.dir+"/sasldb") // as saslpasswd2 does
	passwords.Stdin = strings.NewReader(name + `\00` + realm + `\00userPassword` + "\n" + Password + "\n")
	out, err := passwords.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	require.NoError(s.t, os.Chmod(s.dir+"/sasldb", 0o644))
	return []string{cyrusPrograms + "master", "-D", "-C", s.dir + "/imapd.conf", "-M", s.dir + "/cyrus.conf", "-p", s.dir + "/pid"}
}

// sessions reads the files, one per process, that cyr_info reads.
func (cyrus) sessions(s *Server) (pids []int) {
	alive := s.processes("imapd")
	files, _ := filepath.Glob(s.dir + "/conf/proc/[0-9]*")
	for _, file := range files {
		text, _ := os.ReadFile(file) // service, client, user, mailbox
		fields := strings.Split(string(text), "\t")
		pid, _ := strconv.Atoi(filepath.Base(file))
		if len(fields) > 2 && fields[2] != "" && slices.Contains(alive, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (cyrus) kick(s *Server) { s.signal(syscall.SIGTERM) }
