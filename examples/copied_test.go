package examples

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each folder is copied into a module of its own, as docs/write-a-driver.md says, and
// built there. Nothing is downloaded: the versions are those of this module.
func TestAnExampleCanBeCopiedOutWhole(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	drivers, err := filepath.Glob("*/driver.go")
	require.NoError(t, err)
	programs, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, programs)
	for _, file := range append(drivers, programs...) {
		folder := filepath.Dir(file)
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyExample(t, folder, filepath.Join(dir, folder))
			mod, err := os.ReadFile("go.mod")
			require.NoError(t, err)
			mod = bytes.ReplaceAll(mod, []byte("module github.com/hotline-go/hotline/examples\n"), []byte("module copied\n"))
			mod = bytes.ReplaceAll(mod, []byte("=> .."), []byte("=> "+filepath.ToSlash(root)))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o600))
			sum, err := os.ReadFile("go.sum")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600))
			vet := exec.CommandContext(t.Context(), "go", "vet", "./...")
			vet.Dir = dir
			out, err := vet.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
}

// copyExample copies the code of folder to target, without its tests, whose servers are
// internal to this module, and makes it import the copy.
func copyExample(t *testing.T, folder, target string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		code = bytes.ReplaceAll(code, []byte(`"github.com/hotline-go/hotline/examples/`+folder+`"`), []byte(`"copied/`+folder+`"`))
		assert.NotContains(t, string(code), "hotline/examples/", path)
		path = filepath.Join(target, strings.TrimPrefix(path, folder))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, code, 0o600)
	}))
}
