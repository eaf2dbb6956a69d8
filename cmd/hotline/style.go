package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// The styles of paint.
const (
	bold  = "1"
	red   = "1;31"
	green = "1;32"
)

// terminal is an output that shows styles.
type terminal struct{ io.Writer }

// styled returns w as a terminal if it is one, and the user wants styles: NO_COLOR, if
// not empty, turns them off (no-color.org).
func styled(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !obeysCodes(f) {
		return w
	}
	return terminal{w}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint returns text in a style if w shows styles.
func paint(w io.Writer, style, text string) string {
	if _, ok := w.(terminal); !ok {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
