package hotline

import (
	"go/doc"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages returns the texts of the pages for users, keyed by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", filepath.Join("docs", "*.md")} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			texts[filepath.ToSlash(file)] = string(text)
		}
	}
	require.Contains(t, texts, "README.md")
	return texts
}

// fenced matches Go code in a page, and the file that is named as its source.
var fenced = regexp.MustCompile("(?s)(?:<!-- example: (\\S+) -->\n)?```go\n(.*?)```")

func TestCodeInThePagesIsCompiledCode(t *testing.T) {
	programs, excerpts := 0, 0
	for page, text := range pages(t) {
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			file, code := m[1], m[2]
			switch {
			case strings.HasPrefix(code, "package main"):
				programs++
				main := filepath.Join(t.TempDir(), "main.go")
				require.NoError(t, os.WriteFile(main, []byte(code), 0o600))
				out, err := exec.Command("go", "vet", main).CombinedOutput()
				assert.NoError(t, err, "%s: %s", page, out)
			case file != "":
				excerpts++
				source, err := os.ReadFile(file)
				require.NoError(t, err)
				assert.True(t, strings.Contains(unindented(string(source)), unindented(code)), "%s: code that is not in %s:\n%s", page, file, code)
				link, err := filepath.Rel(filepath.Dir(page), file)
				require.NoError(t, err)
				assert.True(t, strings.Contains(text, "]("+filepath.ToSlash(link)+")"), "%s: no link to %s, the file around an excerpt", page, link)
			default:
				assert.Fail(t, "code that nothing compiles", "%s:\n%s", page, code)
			}
		}
	}
	assert.Positive(t, programs)
	assert.Positive(t, excerpts)
}

// unindented returns code without the tabs at the start of its lines.
func unindented(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

// link matches the target of a link or of a picture.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksInThePagesLeadToFilesAndHeadings(t *testing.T) {
	texts := pages(t)
	for page, text := range texts {
		text = regexp.MustCompile("`[^`]+`").ReplaceAllString(withoutCode(text), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, hasAnchor := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
			}
			_, err := os.Stat(target)
			assert.NoError(t, err, "%s: link to %s", page, m[1])
			if hasAnchor {
				assert.Contains(t, anchors(texts[target]), anchor, "%s: link to %s", page, m[1])
			}
		}
	}
}

func TestReadmeHasAtMost150Lines(t *testing.T) {
	assert.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), 150, "move details to docs")
}

func TestReadmeLinksToEveryPage(t *testing.T) {
	texts := pages(t)
	for page := range texts {
		if page != "README.md" {
			assert.True(t, strings.Contains(texts["README.md"], "]("+page+")"), "the README has no link to %s", page)
		}
	}
}

func TestNamesInThePagesExist(t *testing.T) {
	exported := map[string][]string{} // keyed by package name
	for _, p := range list(t, "./driver/...", "./drivers/...", "./pool", "./pool/fleet", "./pool/keyed", "./pool/status", "./retry") {
		fset := token.NewFileSet()
		d, err := doc.NewFromFiles(fset, parse(t, fset, p), p.ImportPath)
		require.NoError(t, err)
		exported[p.Name] = exportedNames(d)
	}
	name := regexp.MustCompile("`(?:[^`\n]*[^`\\w/.])?(\\w+)\\.([A-Z]\\w*)")
	for page, text := range pages(t) {
		if page == "CHANGELOG.md" {
			continue // it may name things that no longer exist
		}
		for _, m := range name.FindAllStringSubmatch(withoutCode(text), -1) {
			if names, ours := exported[m[1]]; ours {
				assert.True(t, slices.Contains(names, m[2]), "%s: unknown name %s.%s", page, m[1], m[2])
			}
		}
	}
}

// exportedNames returns the names at the top level of a package.
func exportedNames(d *doc.Package) (names []string) {
	values, funcs := append(d.Consts, d.Vars...), d.Funcs
	for _, typ := range d.Types {
		names = append(names, typ.Name)
		values, funcs = append(append(values, typ.Consts...), typ.Vars...), append(funcs, typ.Funcs...)
	}
	for _, v := range values {
		names = append(names, v.Names...)
	}
	for _, f := range funcs {
		names = append(names, f.Name)
	}
	return names
}

// withoutCode returns a page without its blocks of code.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
}

// anchors returns the anchors of the headings of a page, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(withoutCode(text), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		n := seen[anchor]
		seen[anchor]++
		if n > 0 {
			anchor += "-" + strconv.Itoa(n)
		}
		all = append(all, anchor)
	}
	return all
}
