//go:build linux

package benchmarks

import (
	"context"
	"fmt"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

// BenchmarkIMAP measures a FETCH of a message of 4 KiB over TLS 1.3, from Dovecot in its
// own processes. The round-trip time is in milliseconds; 0 is loopback TCP.
//
//	conn=pool   Do on a pool with an idle connection
//	conn=login  a connection for each request, with go-imap alone: connect,
//	            handshake, LOGIN, SELECT, FETCH, LOGOUT
//
// conn=login is what a program without a pool does. The driver's Connect would only add
// to its cost, because it also sends a name to the server (ID).
func BenchmarkIMAP(b *testing.B) {
	server := startMail(b)
	for _, rtt := range []int{0, 40} {
		b.Run(fmt.Sprintf("rtt=%dms", rtt), func(b *testing.B) {
			dial := far(b, server.TLS, rtt)
			b.Run("conn=pool", func(b *testing.B) { fetchFromPool(b, server, dial) })
			b.Run("conn=login", func(b *testing.B) { fetchPerLogin(b, server, dial) })
		})
	}
}

func fetchFromPool(b *testing.B, server mailServer, dial dialFunc) {
	config := server.config(imap.Implicit)
	config.TCP.Dial = dial
	p := openIMAP(b, config, 1)
	defer p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(ctx, fetch.ours); err != nil {
			b.Fatal(err)
		}
	}
}

func fetchPerLogin(b *testing.B, server mailServer, dial dialFunc) {
	b.ReportAllocs()
	for b.Loop() {
		c := server.login(b, imap.Implicit, dial)
		require.NoError(b, fetch.bare(c))
		require.NoError(b, c.Logout().Wait())
		c.Close()
	}
}

// BenchmarkIMAPOverhead measures a request on a warm connection, over TLS 1.3 on
// loopback: a FETCH as in BenchmarkIMAP, or a NOOP, the shortest command. The contenders
// take turns:
//
//	bare-ns  go-imap on a TLS socket, with none of our code
//	pool-ns  Acquire and Release with the imap driver
//	do-ns    Do with the imap driver: the command also obeys the context
//
// Each has its own four connections and uses them in rotation, because one Dovecot
// process may stay a few percent faster than another. The mailbox is in the Config,
// so it is selected on each connection, and a reset has nothing to do.
func BenchmarkIMAPOverhead(b *testing.B) {
	server := startMail(b)
	for _, r := range []mailRequest{fetch, noop} {
		b.Run("request="+r.name, func(b *testing.B) { imapInTurns(b, server, r) })
	}
}

func imapInTurns(b *testing.B, server mailServer, request mailRequest) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	openPool := func() *pool.Pool[*imap.Conn] {
		p := openIMAP(b, server.config(imap.Implicit), 1)
		b.Cleanup(func() { p.Close() })
		return p
	}
	takeTurns(b, []contender{
		{name: "bare", request: rotate(func() func() error {
			c := server.login(b, imap.Implicit, near)
			b.Cleanup(func() { c.Close() })
			return func() error { return request.bare(c) }
		})},
		{name: "pool", request: rotate(func() func() error {
			p := openPool()
			return func() error {
				l, err := p.Acquire(ctx)
				if err != nil {
					return err
				}
				defer l.Release()
				return request.ours(ctx, l.Conn())
			}
		})},
		{name: "do", request: rotate(func() func() error {
			p := openPool()
			return func() error { return p.Do(ctx, request.ours) }
		})},
	})
}

// rotate calls open four times, and returns a request that makes the four requests in
// turn.
func rotate(open func() (request func() error)) func() error {
	requests := []func() error{open(), open(), open(), open()}
	next := 0
	return func() error {
		next++
		return requests[next%len(requests)]()
	}
}

// openIMAP returns a pool with n connections, all of them open.
func openIMAP(b *testing.B, config imap.Config, n int) *pool.Pool[*imap.Conn] {
	connector, err := imap.NewConnector(config)
	require.NoError(b, err)
	p, err := pool.New[*imap.Conn](connector, pool.Config{MaxOpen: n, MinIdle: n})
	require.NoError(b, err)
	require.NoError(b, p.Ready(context.Background()))
	return p
}

// mailRequest is one request, with go-imap alone and with the driver.
type mailRequest struct {
	name string
	bare func(c *imapclient.Client) error
	ours func(ctx context.Context, c *imap.Conn) error
}

var fetch = mailRequest{
	"fetch",
	func(c *imapclient.Client) error { return fetched(c.Fetch(firstMail, wholeMail)) },
	func(_ context.Context, c *imap.Conn) error { return fetched(c.Fetch(firstMail, wholeMail)) },
}

var noop = mailRequest{
	"noop",
	func(c *imapclient.Client) error { return c.Noop().Wait() },
	func(_ context.Context, c *imap.Conn) error { return c.Noop().Wait() },
}

// fetched reads the requested mail.
func fetched(answer interface {
	Collect() ([]*imapclient.FetchMessageBuffer, error)
}) error {
	mails, err := answer.Collect()
	if err != nil {
		return err
	}
	if len(mails) != 1 || len(mails[0].BodySection) != 1 || len(mails[0].BodySection[0].Bytes) != mailSize {
		return errWrongMail
	}
	return nil
}
