package hotline

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fenced finds the Go code of the README, and the file that it is said to be
// taken from.
var fenced = regexp.MustCompile("(?s)(?:<!-- example: (\\S+) -->\n)?```go\n(.*?)```")

func TestReadmeCodeIsCompiledCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	programs, excerpts := 0, 0
	for _, m := range fenced.FindAllStringSubmatch(string(readme), -1) {
		file, code := m[1], m[2]
		switch {
		case strings.HasPrefix(code, "package main"):
			programs++
			main := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(main, []byte(code), 0o600))
			out, err := exec.Command("go", "vet", main).CombinedOutput()
			assert.NoError(t, err, "%s", out)
		case file != "":
			excerpts++
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Contains(t, unindented(string(source)), unindented(code), "not in %s", file)
			assert.Contains(t, string(readme), "]("+file+")", "no link to what surrounds an excerpt")
		default:
			assert.Fail(t, "code of the README that nothing compiles", code)
		}
	}
	assert.Positive(t, programs)
	assert.Positive(t, excerpts)
}

// unindented is code without the tabs before its lines.
func unindented(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

func TestReadmeNamesEveryPoolSetting(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	config, err := os.ReadFile(filepath.Join("pool", "config.go"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(config), "type Config struct {")
	require.True(t, found)
	fields, _, _ := strings.Cut(rest, "\n}")
	for _, f := range regexp.MustCompile(`(?m)^\t([A-Z]\w*) `).FindAllStringSubmatch(fields, -1) {
		assert.Contains(t, string(readme), "`"+f[1]+"`", "the settings table lacks a field of pool.Config")
	}
}

func TestReadmeNamesEveryPoolParameter(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	params, err := os.ReadFile(filepath.Join("pool", "dsn.go"))
	require.NoError(t, err)
	names := regexp.MustCompile(`"([a-z_]+)", &c\.`).FindAllStringSubmatch(string(params), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.Contains(t, string(readme), "`pool_"+name[1]+"`")
	}
}
