//go:build linux

package mailserver

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cat runs a process group that ends well when its input does.
func cat(t *testing.T) (command *exec.Cmd, end func() error) {
	command = exec.Command("cat")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return command, func() error { input.Close(); return command.Wait() }
}

func TestAServerThatHasEndedIsNotEndedAgain(t *testing.T) {
	ended, end := cat(t)
	require.NoError(t, end())
	other, end := cat(t)
	ended.Process.Pid = other.Process.Pid // as when the system uses an id again
	s := &Server{t: t, command: ended}
	s.end(0)
	assert.NoError(t, end(), "somebody else's process")
}
