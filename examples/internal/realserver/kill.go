//go:build linux

package realserver

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// Kill ends the server and all processes it has started with SIGKILL, and returns when
// they are gone. If the server has already ended, it does nothing.
func (s *Server) Kill() {
	s.t.Helper()
	if s.command == nil || s.command.Process == nil || s.command.ProcessState != nil {
		return // another process may have its id now
	}
	leader := s.command.Process.Pid
	_ = syscall.Kill(leader, syscall.SIGSTOP) // so that it starts no more processes
	all := append(descendants(leader), leader)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.command.Wait()
	gone := func() bool { return !slices.ContainsFunc(all, alive) }
	require.Eventually(s.t, gone, 10*time.Second, 2*time.Millisecond, "%s does not end", s.program.Name)
}

// Children returns how many processes of the server are running, not counting the first.
func (s *Server) Children() (n int) {
	for _, pid := range descendants(s.command.Process.Pid) {
		if alive(pid) {
			n++
		}
	}
	return n
}

// descendants returns the children of a process, their children, and so on. Killing the
// process group is not enough, because some servers use a new group for each connection.
func descendants(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if _, p := status(file); p == parent {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(append(pids, pid), descendants(pid)...)
		}
	}
	return pids
}

// alive reports whether the process exists and has not ended.
func alive(pid int) bool {
	state, _ := status("/proc/" + strconv.Itoa(pid) + "/stat")
	return state != "" && state != "Z"
}

// status returns the state and the parent of a process. The state is "" if there is no
// such process.
func status(file string) (state string, parent int) {
	text, _ := os.ReadFile(file) // for example: 7 (imap) S 1 7
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}
