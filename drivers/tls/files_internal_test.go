package tls

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testcert"
)

// A network mount whose server is gone may block for hours.
func TestFilesThatCantBeReadInTimeLeaveTheOldOnesInForce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(name, testcert.NewCA().PEM(), 0o600))
	synctest.Test(t, func(t *testing.T) {
		var logged []string
		log := funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{})
		f, err := openFiles(&ClientConfig{CA: name, Logger: log}, newSessions(nil, 0))
		require.NoError(t, err)
		first := f.loaded
		back := make(chan struct{})
		f.stat = func(name string) (fs.FileInfo, error) {
			<-back
			return os.Stat(name)
		}
		start := time.Now()
		ended, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		assert.Equal(t, first, f.get(ended))
		assert.Equal(t, time.Second/2, time.Since(start), "until its ctx ends")
		assert.Equal(t, first, f.get(t.Context()))
		assert.Equal(t, 3*time.Second/2, time.Since(start), "at most a second")
		for range 3 {
			assert.Equal(t, first, f.get(t.Context()))
		}
		assert.Equal(t, 3*time.Second/2, time.Since(start), "and nobody waits for it again")
		require.Len(t, logged, 1)
		assert.Contains(t, logged[0], "tls: ca, cert and key can't be read within 1s")

		require.NoError(t, os.WriteFile(name, append(testcert.NewCA().PEM(), '\n'), 0o600))
		close(back)
		synctest.Wait()
		assert.NotEqual(t, first.roots, f.get(t.Context()).roots, "when it is back")
		assert.Len(t, logged, 1)
	})
}

// Fixing permissions, or a process with too many open files, changes neither the
// size nor the time of a file.
func TestAFileThatCouldNotBeReadIsTriedAgainAndLoggedOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(name, testcert.NewCA().PEM(), 0o600))
	var logged []string
	log := funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{})
	f, err := openFiles(&ClientConfig{CA: name, Logger: log}, newSessions(nil, 0))
	require.NoError(t, err)
	first := f.loaded
	next := name + ".next"
	require.NoError(t, os.WriteFile(next, testcert.NewCA().PEM(), 0o600))
	f.stat = func(string) (fs.FileInfo, error) { return os.Stat(next) }
	require.NoError(t, os.Remove(name)) // it can't be opened, although stat shows what it will show later
	for range 2 {
		assert.Equal(t, first, f.get(t.Context()))
	}
	require.Len(t, logged, 1)
	assert.Contains(t, logged[0], "no such file")
	require.NoError(t, os.Link(next, name))
	assert.NotEqual(t, first.roots, f.get(t.Context()).roots)
	require.NoError(t, os.Remove(name))
	f.stamps = [3]fs.FileInfo{}
	f.get(t.Context())
	assert.Len(t, logged, 2, "the same error again, after it was fixed")
}
