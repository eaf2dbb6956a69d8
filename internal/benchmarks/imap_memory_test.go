//go:build linux

package benchmarks

import (
	"context"
	"runtime"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

const idleMail = 50 // connections

// BenchmarkIMAPMemory measures the memory for each of 50 idle connections to Dovecot
// that have each fetched a mail: with go-imap alone, and in a pool with the imap driver.
// It includes stacks, because each connection has a goroutine.
func BenchmarkIMAPMemory(b *testing.B) {
	server := startMail(b)
	for _, encryption := range []string{imap.None, imap.Implicit} {
		b.Run("tls="+encryption+"/conn=bare", func(b *testing.B) {
			keepIdle(b, func() (closeAll func()) { return idleClients(b, server, encryption) })
		})
		b.Run("tls="+encryption+"/conn=pool", func(b *testing.B) {
			keepIdle(b, func() (closeAll func()) { return idlePool(b, server, encryption) })
		})
	}
}

// keepIdle reports the memory for each of the connections that open opens.
func keepIdle(b *testing.B, open func() (closeAll func())) {
	var bytes int64
	var goroutines int
	for b.Loop() {
		bytes -= footprint()
		goroutines -= runtime.NumGoroutine()
		closeAll := open()
		bytes += footprint()
		goroutines += runtime.NumGoroutine()
		closeAll()
	}
	conns := float64(b.N * idleMail)
	b.ReportMetric(float64(bytes)/conns, "B/conn")
	b.ReportMetric(float64(goroutines)/conns, "goroutines/conn")
	b.ReportMetric(0, "ns/op")
}

func idleClients(b *testing.B, server mailServer, encryption string) (closeAll func()) {
	var clients []*imapclient.Client
	for range idleMail {
		c := server.login(b, encryption, near)
		require.NoError(b, fetch.bare(c))
		clients = append(clients, c)
	}
	return func() {
		for _, c := range clients {
			c.Close()
		}
	}
}

func idlePool(b *testing.B, server mailServer, encryption string) (closeAll func()) {
	p := openIMAP(b, server.config(encryption), idleMail)
	ctx := context.Background()
	var leases []pool.Lease[*imap.Conn]
	for range idleMail {
		l, err := p.Acquire(ctx)
		require.NoError(b, err)
		require.NoError(b, fetch.ours(ctx, l.Conn()))
		leases = append(leases, l)
	}
	for _, l := range leases {
		l.Release()
	}
	return func() { p.Close() }
}
