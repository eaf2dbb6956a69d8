//go:build linux

package realserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// Connections returns how many connections the server has according to the kernel. That
// includes connections in its backlog, and those closed by the client but not yet by the
// server.
func (s *Server) Connections() int { return len(s.peers()) }

// AtOnce returns how many connections the server certainly had at the same moment. While
// the kernel's list is read, one may end and another begin, so only those on two lists
// in a row count.
func (s *Server) AtOnce() (n int) {
	before := s.peers()
	for peer := range s.peers() {
		if before[peer] {
			n++
		}
	}
	return n
}

// listens returns nil if the server accepts connections.
func (s *Server) listens() error {
	if len(s.sockets(listen)) == 0 {
		return errors.New("it does not listen")
	}
	return nil
}

// peers returns the remote addresses of the connections.
func (s *Server) peers() map[string]bool { return s.sockets(established, closeWait) }

// sockets returns the remote addresses of the server's sockets in these states.
func (s *Server) sockets(states ...string) map[string]bool {
	s.t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	require.NoError(s.t, err)
	addr := netip.MustParseAddrPort(s.Addr)
	ip := addr.Addr().As4()
	own := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), addr.Port())
	found := map[string]bool{}
	for line := range strings.Lines(string(text)) { // for example: 3: 0100007F:1F90 0100007F:C001 01 …
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[1] == own && slices.Contains(states, fields[3]) {
			found[fields[2]] = true
		}
	}
	return found
}

// States of /proc/net/tcp.
const (
	established = "01"
	closeWait   = "08" // the other side has closed
	listen      = "0A"
)
