//go:build !windows

package main

import "os"

// obeysCodes reports whether the terminal f obeys the codes of styles.
func obeysCodes(*os.File) bool { return true }
