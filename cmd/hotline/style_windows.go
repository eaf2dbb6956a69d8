package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// obeysCodes makes the console f obey the codes of styles, and reports whether it does:
// a console older than Windows 10 would print them.
func obeysCodes(f *os.File) bool {
	console := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
