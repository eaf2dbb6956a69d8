package imap_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnreadUpdatesAreCountedAndDoNotBlock(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "?tls=none"))
	_, err := c.Select("INBOX", nil).Wait()
	require.NoError(t, err)
	updates := c.Updates()
	assert.Equal(t, updates, c.Updates())
	deliver := func(n int) {
		for range n {
			require.NoError(t, mail.Append("INBOX", message(1)))
			require.NoError(t, c.Noop().Wait())
		}
	}
	deliver(100)
	for n := uint32(1); n <= 64; n++ {
		u := <-updates
		require.Equal(t, n, *u.NumMessages)
		require.Zero(t, u.Lost)
	}
	assert.Empty(t, updates)
	deliver(1)
	u := <-updates
	assert.EqualValues(t, 101, *u.NumMessages)
	assert.Equal(t, 36, u.Lost)
	deliver(1)
	assert.Zero(t, (<-updates).Lost)
}

func TestUpdatesEndWithTheLease(t *testing.T) {
	mail, server := mailbox(t)
	c := dial(t, plainDSN(server.Addr(), "/INBOX?tls=none"))
	old := c.Updates()
	require.NoError(t, c.ResetSession(soon(t)))
	fresh := c.Updates()
	assert.NotEqual(t, old, fresh)
	require.NoError(t, mail.Append("INBOX", message(1)))
	require.NoError(t, c.Noop().Wait())
	assert.EqualValues(t, 1, *(<-fresh).NumMessages)
	assert.Empty(t, old)
}
