//go:build unix

package tls_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/tls"
	"github.com/hotline-go/hotline/internal/testcert"
)

// Opening a named pipe blocks until something opens it for writing.
func TestANamedPipeIsRefusedAndDoesNotBlock(t *testing.T) {
	ca := testcert.NewCA()
	_, config, client, logged := onFiles(t, ca)
	for _, field := range []*string{&config.TLS.CA, &config.TLS.Cert, &config.TLS.Key} {
		name := *field
		connector := mustConnector(t, config)
		require.NoError(t, os.Rename(name, name+".old"))
		require.NoError(t, syscall.Mkfifo(name, 0o600))
		_, err := tls.NewConnector(config)
		require.ErrorContains(t, err, "open "+name+": not a regular file")

		*logged = nil
		assert.False(t, resumes(t, connector))
		assert.Equal(t, "ada", client())
		require.Len(t, *logged, 1)
		assert.Contains(t, (*logged)[0], "open "+name+": not a regular file")
		require.NoError(t, os.Rename(name+".old", name))
	}
}
