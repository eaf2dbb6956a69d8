//go:build linux

package mailserver

import "testing"

func TestALockThatWasLeftBehindDoesNotHoldUpTheNextStart(t *testing.T) {
	s := Start(t, Dovecot, Options{})
	s.Stop()
	s.write("run/instances.lock", "")
	s.Start()
}
