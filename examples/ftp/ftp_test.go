//go:build linux

package ftp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jlaffaye/ftp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/drivertest"
	_ "github.com/hotline-go/hotline/examples/ftp"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	"github.com/hotline-go/hotline/pool"
)

func TestMain(m *testing.M) { storm.Main(m) }

const (
	password = "p4ss,w/rd"
	files    = 50 // file-7 has seven bytes
)

// start runs a server with room for limit users and the given settings.
func start(t testing.TB, limit int, settings ...string) *realserver.Server {
	if os.Getuid() != 0 {
		t.Skip("vsftpd must be started by root")
	}
	return realserver.Start(t, realserver.Program{
		Name: "vsftpd", Package: "vsftpd",
		Configure: func(s *realserver.Server) []string {
			root := filepath.Join(s.Dir, "root")
			require.NoError(t, os.MkdirAll(filepath.Join(root, "sub"), 0o755))
			for n := range files {
				require.NoError(t, os.WriteFile(fmt.Sprint(root, "/file-", n), make([]byte, n), 0o644))
			}
			require.NoError(t, os.WriteFile(root+"/big", make([]byte, 8<<20), 0o644))
			config := append(settings,
				"listen=YES", "background=NO", "listen_address=127.0.0.1", "listen_port="+s.Port(),
				"anonymous_enable=YES", "local_enable=NO", "anon_root="+root,
				"secure_email_list_enable=YES", "email_password_file="+s.Write("passwords", password+"\n"),
				"secure_chroot_dir="+s.Mkdir("empty"), "seccomp_sandbox=NO", "delay_failed_login=0",
				"max_clients="+strconv.Itoa(limit),
				"xferlog_enable=YES", "log_ftp_protocol=YES", "vsftpd_log_file="+s.Dir+"/log",
			)
			return []string{s.Write("config", strings.Join(config, "\n")+"\n")}
		},
		Ready: func(nc net.Conn) error {
			_, _, err := textproto.NewConn(nc).ReadResponse(220)
			return err
		},
	})
}

func dsn(addr string) string { return "ftp://anonymous:" + url.QueryEscape(password) + "@" + addr }

func TestConformance(t *testing.T) {
	s := start(t, 20)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("ftp", dsn(addr))
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return size(client(c), 7) },
			Spoil:     func(c driver.Conn) error { return client(c).ChangeDir("sub") },
			Fresh:     func(c driver.Conn) error { return size(client(c), 8) },
			Leftover: func(c driver.Conn) error {
				_, err := client(c).Retr("file-7")
				return err
			},
			Fill:    func() (makeRoom func()) { return fill(t, s) },
			Secrets: []string{password},
			BadDSN: func() error {
				_, err := driver.OpenConnector("ftp", dsn(addr)+"?nosuch=1")
				return err
			},
		}
	})
}

// fill uses up the remaining room of s.
func fill(t testing.TB, s *realserver.Server) (makeRoom func()) {
	var taken []net.Conn
	for {
		nc, err := net.Dial("tcp", s.Addr)
		require.NoError(t, err)
		taken = append(taken, nc)
		_, _, err = textproto.NewReader(bufio.NewReader(nc)).ReadResponse(220)
		if adapt.IsA[*textproto.Error](err) {
			break
		}
		require.NoError(t, err)
	}
	return func() {
		for _, nc := range taken {
			_ = adapt.Farewell(nc, "QUIT\r\n")
		}
	}
}

func client(c driver.Conn) *ftp.ServerConn {
	client, _ := driver.As[*ftp.ServerConn](c)
	return client
}

// size asks for the size of a file. Each file has a different size.
func size(c *ftp.ServerConn, n int) error {
	n %= files
	got, err := c.FileSize(fmt.Sprint("file-", n))
	if err != nil {
		return err
	}
	return storm.Check(strconv.FormatInt(got, 10), strconv.Itoa(n))
}

func TestStorm(t *testing.T) {
	const maxOpen = 12
	s := start(t, maxOpen)
	storm.Storm[*ftp.ServerConn]{
		Server: s, MaxOpen: maxOpen,
		Connector: func(addr string) (driver.Connector, error) { return driver.OpenConnector("ftp", dsn(addr)) },
		Exchange:  func(_ context.Context, c *ftp.ServerConn, n int) error { return size(c, n) },
		Slack:     5,
		Refused:   func() int { return strings.Count(s.Log(), "421 There are too many") },
	}.Run(t)
}

// openPool returns a pool of one connection to s.
func openPool(t *testing.T, s *realserver.Server) *pool.Pool[*ftp.ServerConn] {
	p, err := pool.Open[*ftp.ServerConn]("ftp", dsn(s.Addr), pool.Config{MaxOpen: 1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func TestATransferEndsWithTheContextOfItsHolder(t *testing.T) {
	p := openPool(t, start(t, 2, "anon_max_rate=100000")) // 80 s for the file
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Do(ctx, func(ctx context.Context, c *ftp.ServerConn) error {
		response, err := c.Retr("big")
		if err != nil {
			return err
		}
		defer response.Close()
		cancel()
		_, err = io.Copy(io.Discard, response)
		return err
	})
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.NoError(t, p.Do(t.Context(), func(ctx context.Context, c *ftp.ServerConn) error { return size(c, 9) }))
}

func TestAnAbandonedTransferCostsTheConnection(t *testing.T) {
	p := openPool(t, start(t, 2))
	for _, file := range []string{"file-7", "big"} {
		require.NoError(t, p.Do(t.Context(), func(ctx context.Context, c *ftp.ServerConn) error {
			_, err := c.Retr(file)
			return err
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NoError(t, p.Do(ctx, func(ctx context.Context, c *ftp.ServerConn) error { return size(c, 9) }), file)
	}
	assert.Equal(t, int64(2), p.Stats().Closed.Bad)
}

func TestAWrongPasswordIsPermanent(t *testing.T) {
	s := start(t, 2)
	connector, err := driver.OpenConnector("ftp", "ftp://anonymous:wr0ng@"+s.Addr)
	require.NoError(t, err)
	_, err = connector.Connect(t.Context())
	assert.True(t, driver.IsPermanent(err), "%v", err)
}
