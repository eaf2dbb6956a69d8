//go:build linux

package storm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// proxy is a toxiproxy in front of the server.
type proxy struct {
	t     *testing.T
	inner *toxiproxy.Proxy
}

func newProxy(t *testing.T, upstream string) *proxy {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log to the global logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	x := &proxy{t, toxiproxy.NewProxy(server, "storm", "127.0.0.1:0", upstream)}
	require.NoError(t, x.inner.Start())
	t.Cleanup(x.stop)
	return x
}

func (x *proxy) addr() string { return x.inner.Listen }

// stop closes all connections. A second stop does nothing.
func (x *proxy) stop() { x.inner.Stop() }

// phase returns a phase that applies a toxic of that type to the data from the server.
func (x *proxy) phase(toxic, attributes string) phase {
	return phase{
		name:    toxic,
		hangsUp: toxic == "reset_peer" || toxic == "limit_data" || toxic == "timeout",
		on: func() {
			_, err := x.inner.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name": "it", "type": %q, "attributes": %s}`, toxic, attributes)))
			require.NoError(x.t, err)
		},
		off: func() { require.NoError(x.t, x.inner.Toxics.RemoveToxic(context.Background(), "it")) },
	}
}

// ofTheProxy ignores goroutines that toxiproxy leaves behind if one end of a connection
// is closed while a toxic holds back data for it.
var ofTheProxy = goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run")

// Main is the TestMain of a package with a storm. It fails if goroutines other than the
// proxy's are left behind.
func Main(m *testing.M) { goleak.VerifyTestMain(m, ofTheProxy) }
