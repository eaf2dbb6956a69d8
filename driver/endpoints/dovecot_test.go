//go:build linux

package endpoints_test

import (
	"context"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
	"github.com/hotline-go/hotline/pool"
)

// noop is a call that does no harm.
func noop(ctx context.Context, c *imap.Conn) error {
	defer c.Bind(ctx)()
	return c.Noop().Wait()
}

// startDovecots starts a Dovecot for each of options.
func startDovecots(t testing.TB, options ...mailserver.Options) (servers []*mailserver.Server) {
	for _, o := range options {
		servers = append(servers, mailserver.Start(t, mailserver.Dovecot, o))
	}
	return servers
}

// openMail returns a pool of the servers.
func openMail(t testing.TB, params string, servers ...*mailserver.Server) *pool.Pool[*imap.Conn] {
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, s.Plain)
	}
	login := url.UserPassword(mailserver.User, mailserver.Password).String()
	return openReal[*imap.Conn](t, "imap", login+"@"+strings.Join(hosts, ","), params, pool.Config{})
}

// Under load, one of three Dovecots gets a fault, and then a second. New pools find the
// third.
func TestThreeDovecots(t *testing.T) {
	t.Parallel()
	servers := startDovecots(t, mailserver.Options{}, mailserver.Options{}, mailserver.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, fault := range []struct {
		name  string
		apply func(s *mailserver.Server)
		mend  func(s *mailserver.Server)
	}{
		{"killed", func(s *mailserver.Server) { s.SignalAll(syscall.SIGKILL) }, restart},
		{"stopped", func(s *mailserver.Server) { s.SignalAll(syscall.SIGSTOP) }, func(s *mailserver.Server) { s.SignalAll(syscall.SIGCONT) }},
		{"its sessions stopped", func(s *mailserver.Server) { s.Signal(syscall.SIGSTOP) }, restart},
		{"black hole", func(s *mailserver.Server) { s.Stop(); blackHole(t, s.Plain) }, nil},
	} {
		p := openMail(t, "?tls=none&hosts_order=least_open", servers...)
		require.NoError(t, p.Warm(ctx, 8), fault.name)
		one := callAll(ctx, p, noop, func() { fault.apply(servers[0]) })
		assert.Empty(t, one.errs, fault.name)
		two := callAll(ctx, p, noop, func() { fault.apply(servers[1]) })
		assert.Empty(t, two.errs, fault.name)
		began := time.Now()
		require.NoError(t, openMail(t, "?tls=none", servers...).Do(ctx, noop), fault.name)
		t.Logf("%s: one under load: %v; a second: %v; first call of a new pool: %v", fault.name, one, two, time.Since(began).Round(time.Millisecond))
		for _, s := range servers[:2] {
			if fault.mend != nil {
				fault.mend(s)
			}
		}
	}
}

func restart(s *mailserver.Server) {
	s.Stop()
	s.Start()
}

// One Dovecot rejects the password, one has room for only two connections, and one has
// a certificate of another authority.
func TestDovecotsThatDoNotLetUsIn(t *testing.T) {
	servers := startDovecots(t, mailserver.Options{Password: "another"}, mailserver.Options{MaxLogins: 2}, mailserver.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := openMail(t, "?tls=none", servers...)
	began := time.Now()
	require.NoError(t, p.Warm(ctx, 8))
	warm := time.Since(began).Round(time.Millisecond)
	seen := callAll(ctx, p, noop, func() {})
	assert.Empty(t, seen.errs)
	require.NoError(t, p.Warm(ctx, 8)) // a call that was too late on a busy machine has cost its connection
	at := p.Snapshot().Servers
	assert.Zero(t, at[0].Open)
	assert.Positive(t, at[2].Open, "%v", at) // Dovecot may let one in more than MaxLogins
	assert.Equal(t, 8, at[1].Open+at[2].Open)
	t.Logf("wrong password on one, another full: 8 connections after %v, then %v", warm, seen)

	ca := writeFile(t, servers[2].CA.PEM())
	p = openMail(t, "?tls=starttls&ca="+ca, servers[1:]...)
	began = time.Now()
	require.NoError(t, p.Do(ctx, noop))
	t.Logf("wrong certificate on one: first call %v", time.Since(began).Round(time.Millisecond))
}
