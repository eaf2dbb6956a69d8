package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStylesAreForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	assert.Equal(t, "x", paint(styled(&out), bold, "x"))
	printTable(terminal{&out}, [][]string{{"", "rate"}, {"a", "1"}})
	assert.Equal(t, "\x1b[1m   rate\x1b[0m\na     1\n", out.String())
}

func TestNoColorTurnsStylesOff(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil || !isTerminal(pty) {
		t.Skip("no pseudoterminals")
	}
	defer pty.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	assert.Equal(t, "\x1b[1mx\x1b[0m", paint(styled(pty), bold, "x"))
	t.Setenv("NO_COLOR", "1")
	assert.Equal(t, "x", paint(styled(pty), bold, "x"))
}
