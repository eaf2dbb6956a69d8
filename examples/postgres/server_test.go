//go:build linux

package postgres_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
)

func TestMain(m *testing.M) { storm.Main(m) }

const (
	password = "p4ss,w/rd"
	login    = "postgres://app:p4ss%2Cw%2Frd@"
)

// start runs a server with room for limit connections, with none reserved.
func start(t testing.TB, limit int) *realserver.Server {
	return startAs(t, limit, initdb, "max_wal_senders=0")
}

// startAs is start for a server whose data is made by prepare, with more settings.
func startAs(t testing.TB, limit int, prepare func(*realserver.Server), settings ...string) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "postgres", Package: "postgresql", User: "postgres",
		Configure: func(s *realserver.Server) []string {
			prepare(s)
			settings := append([]string{"listen_addresses=127.0.0.1", "port=" + s.Port(), "unix_socket_directories=", "fsync=off",
				"max_connections=" + strconv.Itoa(limit), "superuser_reserved_connections=0",
				"log_connections=on", "log_disconnections=on", "log_line_prefix=%m [%p] %e "}, settings...)
			args := []string{"-D", "data"}
			for _, setting := range settings {
				args = append(args, "-c", setting)
			}
			return args
		},
		Ready: asksForAPassword,
	})
}

// initdb makes a new database.
func initdb(s *realserver.Server) {
	s.Run("initdb", "postgresql", "-D", "data", "-A", "scram-sha-256", "-U", "app", "--pwfile", s.Write("password", password),
		"--no-sync", "--no-instructions", "--locale", "C", "-E", "UTF8")
}

// copyOf makes a replica of primary.
func copyOf(primary *realserver.Server) func(*realserver.Server) {
	return func(s *realserver.Server) {
		s.Run("pg_basebackup", "postgresql", "-D", "data", "-R", "-c", "fast", "--no-sync",
			"-d", "host=127.0.0.1 port="+primary.Port()+" user=app password='"+password+"'")
	}
}

// asksForAPassword returns nil if the server asks for a password, which means that it
// has finished its recovery.
func asksForAPassword(nc net.Conn) error {
	if _, err := nc.Write([]byte("\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00")); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(nc, kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' {
		return errors.New("it is not ready for logins")
	}
	return nil
}

// logged returns how many logins the server has refused with that SQLSTATE since it was
// last started.
func logged(s *realserver.Server, state string) int {
	return strings.Count(s.Log(), "] "+state+" FATAL:")
}

// sessions returns the most sessions that the server has had at once, according to its
// log, since it was last started.
func sessions(s *realserver.Server) (most int) {
	now := 0
	for line := range strings.Lines(s.Log()) {
		switch {
		case strings.Contains(line, "LOG:  connection authorized"):
			now++
		case strings.Contains(line, "LOG:  disconnection"):
			now--
		}
		most = max(most, now)
	}
	return most
}

const (
	tooMany       = "53300"
	wrongPassword = "28P01"
)

// dsn returns the DSN for addr.
func dsn(addr string) string { return login + addr + "/postgres" }
