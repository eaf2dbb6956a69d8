package testserver_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testserver"
)

func TestPingAnswersEachLine(t *testing.T) {
	ping := new(testserver.Ping)
	c := dial(t, start(t, ping.Serve))
	c.ask("PING", "PONG")
	c.ask("PING\r", "PONG")
	c.ask("ECHO  two  words ", " two  words ")
	c.ask("ECHO", "")
	c.ask("", "ERR want LOGIN, PING, ECHO or QUIT")
	c.ask("ping", "ERR want LOGIN, PING, ECHO or QUIT")
	c.ask("PING\nECHO a\nPING", "PONG")
	c.wantLine("a")
	c.wantLine("PONG")
	assert.EqualValues(t, 7, ping.Requests())
	c.ask("QUIT", "BYE")
	c.wantEnd(io.EOF)
}

func TestPingWithAUserRequiresALogin(t *testing.T) {
	ping := &testserver.Ping{User: "ada", Password: "a secret"}
	c := dial(t, start(t, ping.Serve))
	c.ask("PING", "ERR want LOGIN first")
	c.ask("ECHO a", "ERR want LOGIN first")
	c.ask("LOGIN ada a secret", "OK")
	c.ask("PING", "PONG")
	assert.EqualValues(t, 1, ping.Requests())
}

func TestPingHangsUpAfterAWrongLogin(t *testing.T) {
	s := start(t, (&testserver.Ping{User: "ada", Password: "secret"}).Serve)
	for _, login := range []string{"LOGIN", "LOGIN ada", "LOGIN ada wrong", "LOGIN bob secret", "LOGIN ada secret "} {
		c := dial(t, s)
		c.ask(login, "ERR wrong user or password")
		c.wantEnd(io.EOF)
	}
}

func TestAFullPingAcceptsNoMoreLogins(t *testing.T) {
	ping := &testserver.Ping{User: "ada", Password: "secret"}
	s := start(t, ping.Serve)
	before := dial(t, s)
	before.ask("LOGIN ada secret", "OK")
	ping.SetFull(true)
	c := dial(t, s)
	c.ask("LOGIN ada secret", "FULL")
	c.wantEnd(io.EOF)
	before.ask("PING", "PONG")
	ping.SetFull(false)
	dial(t, s).ask("LOGIN ada secret", "OK")
}

func TestPingWithoutAUserAcceptsAnyLogin(t *testing.T) {
	c := dial(t, start(t, new(testserver.Ping).Serve))
	c.ask("LOGIN ada secret", "OK")
	c.ask("PING", "PONG")
}

func TestPingHangsUpOnALineWithoutEnd(t *testing.T) {
	s := start(t, new(testserver.Ping).Serve)
	c := dial(t, s)
	_, _ = io.WriteString(c, strings.Repeat("x", 1<<16)) // the connection may end before everything is written
	_, err := c.in.ReadByte()
	require.Error(t, err)
}

func TestPingTakesItsDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nw memnet.Network
		ping := &testserver.Ping{Delay: time.Second, LoginDelay: 3 * time.Second}
		s, err := testserver.Start(nw.Listen, "", ping.Serve)
		require.NoError(t, err)
		defer s.Close()
		inner, err := nw.DialContext(t.Context(), "tcp", s.Addr())
		require.NoError(t, err)
		c := talkOn(t, inner)
		for _, step := range []struct {
			request, reply string
			takes          time.Duration
		}{
			{"LOGIN ada secret", "OK", 3 * time.Second},
			{"PING", "PONG", time.Second},
			{"ECHO a", "a", time.Second},
			{"HELP", "ERR want LOGIN, PING, ECHO or QUIT", 0},
		} {
			began := time.Now()
			c.ask(step.request, step.reply)
			assert.Equal(t, step.takes, time.Since(began), step.request)
		}
	})
}
