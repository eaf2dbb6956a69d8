package examples

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests count the lines of code after the imports, without blank lines and comments.

func TestDriversAreShort(t *testing.T) {
	files, err := filepath.Glob("*/driver.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		n := lines(t, file)
		t.Logf("%s: %d lines", file, n)
		assert.LessOrEqual(t, n, 45, file)
	}
}

func TestProgramsAreShort(t *testing.T) {
	drivers := map[string][]string{ // the files of the driver, if it is not in the program itself
		"fleet/show":          nil, // has no driver
		"ldap/program":        {"ldap/driver.go"},
		"lines":               nil,
		"mailworker":          nil, // drivers/imap
		"postgres/program":    {"postgres/driver.go"},
		"postgres/sqlprogram": {"postgres/driver.go", "postgres/sql.go"},
		"redis/program":       {"redis/driver.go"},
		"smtp/program":        {"smtp/driver.go"},
		"ssh/program":         {"ssh/driver.go"},
	}
	files, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	deeper, err := filepath.Glob("*/*/main.go")
	require.NoError(t, err)
	require.Len(t, drivers, len(files)+len(deeper), "every program is counted")
	for folder, files := range drivers {
		n := lines(t, folder+"/main.go")
		for _, file := range files {
			n += lines(t, file)
		}
		t.Logf("%s: %d lines with its driver", folder, n)
		assert.LessOrEqual(t, n, 100, folder)
	}
}

// lines returns how many lines of code file has.
func lines(t *testing.T, file string) (n int) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.ImportsOnly)
	require.NoError(t, err)
	last := f.Decls[len(f.Decls)-1]
	for line := range strings.Lines(string(text[fset.Position(last.End()).Offset:])) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}
