package conn

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// All pairs of states: a connection only moves forward, and its first error
// stays.
func TestStateOnlyMovesForwards(t *testing.T) {
	states := []state{open, failed, cancelled, closed}
	for _, from := range states {
		for _, to := range states {
			t.Run(fmt.Sprintf("%v to %v", from, to), func(t *testing.T) {
				nc, peer := net.Pipe()
				defer peer.Close()
				c := New(nc)
				defer nc.Close()
				before := fmt.Errorf("became %v", from)
				assert.Equal(t, from > open, c.moveLocked(from, "test", before))
				first := c.first

				after := fmt.Errorf("became %v", to)
				assert.Equal(t, to > from, c.moveLocked(to, "test", after))
				assert.Equal(t, max(from, to), c.state)
				assert.Equal(t, max(from, to) == open, c.IsValid())
				switch {
				case to > from:
					assert.Equal(t, after, c.why)
				case from > open:
					assert.Equal(t, before, c.why)
				default:
					assert.NoError(t, c.why)
				}
				if from > open {
					assert.Same(t, first, c.first)
				}
				assert.Equal(t, c.state > open, c.Err() != nil)
			})
		}
	}
}

// SetDeadline, and Read after the peer has closed, return different errors in
// different states.
func TestErrorsDependOnTheState(t *testing.T) {
	for _, tt := range []struct {
		in           state
		read         error // what Read returns when the peer has closed
		setsDeadline bool
	}{
		{open, io.EOF, true},
		{failed, io.EOF, true},
		{cancelled, io.ErrNoProgress, false},
		{closed, io.ErrNoProgress, false},
	} {
		t.Run(tt.in.String(), func(t *testing.T) {
			nc, peer := net.Pipe()
			c := New(nc)
			defer nc.Close()
			c.moveLocked(tt.in, "test", io.ErrNoProgress)
			assert.Equal(t, tt.setsDeadline, c.SetDeadline(time.Now().Add(time.Hour)) == nil)
			peer.Close()
			_, err := c.Read(make([]byte, 1))
			assert.ErrorIs(t, err, tt.read)
		})
	}
}
