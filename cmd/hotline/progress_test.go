package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lockedBuffer stands for a terminal. A test can read it while the bar is drawn.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestProgressFillsAsTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		p := startProgress(&out, 10*time.Second)
		p.stage("pool")
		<-time.After(5 * time.Second)
		synctest.Wait()
		assert.Contains(t, out.String(), " 50% |███████████████               |  pool")
		<-time.After(time.Minute) // it takes longer than expected
		p.stage("connect per request")
		<-time.After(time.Second)
		synctest.Wait()
		assert.Contains(t, out.String(), " 99% |█████████████████████████████ |  connect per request")
		p.end()
		assert.True(t, strings.HasSuffix(out.String(), " \r"), "the bar is still there")
		assert.NotContains(t, out.String(), "\n")
	})
}

func TestProgressNeedsATerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	assert.Nil(t, newProgress(file, time.Second))
	assert.Nil(t, newProgress(new(bytes.Buffer), time.Second))
	var none *progress
	none.stage("nothing")
	none.end()
}
