package pool

import (
	"net"

	"github.com/hotline-go/hotline/driver"
)

// peerOf returns the remote address of raw in a form that is safe to show. It is
// empty if raw does not report one.
func peerOf(raw driver.Conn) (peer string) {
	defer func() { _ = recover() }() // a panic here must not cost a working connection
	c, ok := driver.As[interface{ RemoteAddr() net.Addr }](raw)
	if !ok {
		return ""
	}
	text := c.RemoteAddr().String()
	if quoted := driver.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}
