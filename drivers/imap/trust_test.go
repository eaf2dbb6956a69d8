package imap_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
)

// A load balancer sends a page while the server restarts; then the server is up without
// its accounts.
func TestARestartIsDoubtedStepByStep(t *testing.T) {
	const page, refusal = "HTTP/1.1 503 Service Unavailable\r\n\r\n", "TAG NO [AUTHENTICATIONFAILED] no\r\n"
	const in = "TAG OK [CAPABILITY IMAP4rev1] in\r\n"
	for _, tc := range []struct {
		name      string
		answers   []string // one per connection, in order
		permanent bool     // whether the last error is permanent; otherwise the last login succeeds
	}{
		{"a page, refused, in", []string{in, page, refusal, in}, false},
		{"refused, in", []string{in, refusal, in}, false},
		{"a page, in", []string{page, in}, false},
		{"a page, in, a page, in", []string{page, in, page, in}, false},
		{"a page, refused, refused", []string{in, page, refusal, refusal}, true},
		{"a page, a page", []string{in, page, page}, true},
		{"refused, a page", []string{in, refusal, page}, true},
		{"a page, refused without a login before", []string{page, refusal}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var nw memnet.Network
				server, err := testserver.Start(nw.Listen, "localhost:143", func(l net.Listener) {
					for _, answer := range tc.answers {
						c, err := l.Accept()
						if err != nil {
							return
						}
						if answer == page {
							play(c, []string{page, "HANG UP"})
						} else {
							go play(c, login1(answer)) // ends with the connection
						}
					}
				})
				require.NoError(t, err)
				defer server.Close()
				config, err := imap.ParseDSN(plainDSN("localhost", "?tls=none"))
				require.NoError(t, err)
				config.TCP.Dial = nw.DialContext
				connector, err := imap.NewConnector(config)
				require.NoError(t, err)
				for i := range tc.answers {
					_, err = connectTo(t, connector)
					last := i == len(tc.answers)-1
					assert.Equal(t, last && tc.permanent, driver.IsPermanent(err), "%v", err)
					if pause, ok := driver.RetryAfter(err); ok {
						assert.Equal(t, 2*time.Second, pause)
						<-time.After(pause)
					}
				}
				assert.Equal(t, tc.permanent, err != nil)
				assert.Equal(t, len(tc.answers), server.Stats().Accepted)
			})
		})
	}
}
