package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// tablePlace matches the place of a table in a document.
var tablePlace = regexp.MustCompile(`(?s)(<!-- bench: (\w+) -->\n).*?(<!-- end -->)`)

// fillIn puts the tables into their places in a file.
func fillIn(file string, tables map[string]string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := replaceTables(string(old), tables)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if text == string(old) {
		return nil
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// replaceTables returns text with each table in its place.
func replaceTables(text string, tables map[string]string) (string, error) {
	var err error
	text = tablePlace.ReplaceAllStringFunc(text, func(old string) string {
		parts := tablePlace.FindStringSubmatch(old)
		table, ok := tables[parts[2]]
		if !ok {
			err = errors.Join(err, fmt.Errorf("there is no table %q", parts[2]))
			return old
		}
		return parts[1] + "\n" + table + "\n" + parts[3]
	})
	return text, err
}
