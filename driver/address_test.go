package driver_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
)

func TestDialAddressUsesTheIPOfTheContextForThatNameOnly(t *testing.T) {
	ctx := driver.WithAddress(t.Context(), "db.example.org:5432", netip.MustParseAddr("10.0.0.1"))
	assert.Equal(t, "10.0.0.1:5432", driver.DialAddress(ctx, "db.example.org:5432"))
	assert.Equal(t, "login.example.org:443", driver.DialAddress(ctx, "login.example.org:443"), "another server that the driver dials")
	assert.Equal(t, "db.example.org:5432", driver.DialAddress(t.Context(), "db.example.org:5432"))

	ctx = driver.WithAddress(ctx, "db.example.org:5432", netip.MustParseAddr("fe80::1%eth0"))
	assert.Equal(t, "[fe80::1%eth0]:5432", driver.DialAddress(ctx, "db.example.org:5432"))
	ctx = driver.WithAddress(ctx, "/run/db.sock", netip.MustParseAddr("10.0.0.1"))
	assert.Equal(t, "/run/db.sock", driver.DialAddress(ctx, "/run/db.sock"), "it has no port")
}
