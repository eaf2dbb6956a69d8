//go:build linux

package mailserver

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// Dovecot is Dovecot 2.3, from Debian's dovecot-imapd. It supports PLAIN, LOGIN and
// SCRAM-SHA-256, and does not pause after wrong passwords. A session whose client has
// gone may wait for minutes for the lock of another session that repairs the mailbox
// after a kill; mail_max_lock_timeout limits that.
//
// Mail is stored as sdbox, because in a Maildir a killed session may leave a lock for
// two minutes.
var Dovecot Kind = dovecot{}

type dovecot struct{}

const (
	dovecotConfig = `
base_dir = @DIR/run
state_dir = @DIR/run
log_path = @DIR/log
protocols = imap
listen = 127.0.0.1
first_valid_uid = 1
ssl = yes
ssl_cert = <@DIR/cert.pem
ssl_key = <@DIR/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
mail_location = sdbox:~/mail
mail_max_lock_timeout = 2s
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @DIR/passwd
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=@DIR/mail/%u
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
    port = @PLAIN
  }
  inet_listener imaps {
    port = @TLS
    ssl = yes
  }
}
protocol imap {
  mail_max_userip_connections = @LIMIT
}
`
	dovecotTokens = `
auth_mechanisms = plain login scram-sha-256 oauthbearer xoauth2
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = @DIR/tokens
}
`
	dovecotTokenInfo = `
introspection_mode = get
introspection_url = @TOKENINFO
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = user
`
)

func (dovecot) name() string { return "dovecot" }

func (dovecot) obstacle() string {
	version, err := exec.Command("dovecot", "--version").Output()
	if err != nil {
		return fmt.Sprintf("can't run dovecot (%v); install dovecot-imapd", err)
	}
	if !strings.HasPrefix(string(version), "2.3.") {
		return fmt.Sprintf("the configuration is for Dovecot 2.3, not %s", version)
	}
	return ""
}

func (dovecot) configure(s *Server) []string {
	config := dovecotConfig
	if s.options.TokenInfo != "" {
		config += dovecotTokens
		s.write("tokens", s.fill(dovecotTokenInfo))
	}
	s.write("conf", s.fill(config))
	var accounts strings.Builder
	for _, user := range append([]string{User}, s.options.Users...) {
		fmt.Fprintf(&accounts, "%s:{PLAIN}%s::::::\n", user, cmp.Or(s.options.Password, Password))
	}
	s.write("passwd", accounts.String())
	nobody, err := user.Lookup("nobody")
	require.NoError(s.t, err)
	uid, _ := strconv.Atoi(nobody.Uid)
	require.NoError(s.t, os.Mkdir(s.dir+"/mail", 0o755))
	require.NoError(s.t, os.Chown(s.dir+"/mail", uid, -1))
	// A killed server may have left the lock of run/instances, for which the next one
	// would wait. After a boot, /run is empty too.
	return []string{"sh", "-c", s.fill("rm -rf @DIR/run && mkdir @DIR/run && exec dovecot -F -c @DIR/conf")}
}

// sessions returns the imap processes. Each serves one client.
func (dovecot) sessions(s *Server) []int { return s.processes("imap") }

func (dovecot) kick(s *Server) {
	_ = exec.Command("doveadm", "-c", s.dir+"/conf", "kick", User).Run() // it fails if there is no session
}
