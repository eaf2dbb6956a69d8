package imap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// breaking serves connections and counts them. idle answers an IDLE.
func breaking(logins *int, idle func(c net.Conn)) func(net.Listener) {
	return func(l net.Listener) {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			*logins++
			go func() { // ends with the connection
				defer c.Close()
				fmt.Fprint(c, "* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n")
				tag := ""
				for in := bufio.NewScanner(c); in.Scan(); {
					command := in.Text()
					if command != "DONE" {
						tag, command, _ = strings.Cut(command, " ")
					}
					if command == "IDLE" {
						idle(c)
						continue
					}
					fmt.Fprintf(c, "%s OK\r\n", tag)
				}
			}()
		}
	}
}

// Without polling, such a server got 20 logins in 25 seconds.
func TestWatchPollsIfIDLEBreaksTheConnection(t *testing.T) {
	for name, idle := range map[string]func(net.Conn){
		"a farewell":      func(c net.Conn) { fmt.Fprint(c, "+ idling\r\n* BYE bug\r\n"); c.Close() },
		"the end":         func(c net.Conn) { fmt.Fprint(c, "+ idling\r\n"); c.Close() },
		"the end at once": func(c net.Conn) { c.Close() },
		"junk":            func(c net.Conn) { fmt.Fprint(c, "+ idling\r\n* XYZZY\r\n") },
		"no answer":       func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"no end":          func(c net.Conn) { fmt.Fprint(c, "+ idling\r\n"); _, _ = io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logins := 0
				w := startWatch(t, breaking(&logins, idle))
				began := time.Now()
				for range 4 {
					w.wantCall(t, nil)
				}
				assert.Equal(t, 4, logins, "three are broken")
				assert.GreaterOrEqual(t, time.Since(began), 7*time.Second, "the pauses grow")
				w.quiet(t, 50*time.Minute) // it polls
				assert.Equal(t, 4, logins)
				w.wantCall(t, nil) // IDLE is tried again
				assert.Equal(t, 5, logins)
				w.quiet(t, 59*time.Minute)
				assert.Equal(t, 5, logins)
			})
		})
	}
}

// IDLE is tried again, because the server may have been repaired.
func TestWatchGoesBackToIDLE(t *testing.T) {
	for _, tc := range []struct {
		name  string
		idle  func(net.Conn)
		calls int // before it polls
	}{
		{"that broke", func(c net.Conn) { c.Close() }, 4},
		{"that was refused", func(c net.Conn) { fmt.Fprint(c, "T3 NO not now\r\n") }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, logins := time.Now(), 0
				w := startWatch(t, breaking(&logins, func(c net.Conn) {
					if time.Since(began) < 50*time.Minute {
						tc.idle(c)
						return
					}
					fmt.Fprint(c, "+ idling\r\n* 7 EXISTS\r\n")
				}))
				for range tc.calls {
					w.wantCall(t, nil)
				}
				w.quiet(t, 59*time.Minute)
				assert.Len(t, w.wantCall(t, nil), 1)
				assert.Equal(t, max(1, tc.calls), logins)
			})
		})
	}
}

// Two losses, an IDLE that works, and two losses don't make Watch poll.
func TestWatchCountsLossesInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logins, idles := 0, 0
		w := startWatch(t, breaking(&logins, func(c net.Conn) {
			if idles++; idles%3 != 0 {
				c.Close()
				return
			}
			fmt.Fprintf(c, "+ idling\r\n* %d EXISTS\r\n", idles)
		}))
		for range 5 {
			w.wantCall(t, nil) // the beginning, two losses, news, a loss
		}
		w.wantCall(t, nil) // another loss
		began := time.Now()
		assert.Len(t, w.wantCall(t, nil), 1)
		assert.Less(t, time.Since(began), time.Second, "by an IDLE")
	})
}
