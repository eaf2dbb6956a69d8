package hotline

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:generate go test . -run TestSettingsInThePagesMatchTheCode -update

var update = flag.Bool("update", false, "write the settings into the pages")

// generated matches a part of a page that is made from doc comments: the fields of
// a struct, or the table of parameters in the doc of a driver.
var generated = regexp.MustCompile(`(?s)(<!-- (fields|parameters): (\S+) -->\n).*?(<!-- end -->)`)

func TestSettingsInThePagesMatchTheCode(t *testing.T) {
	for page, text := range pages(t) {
		want := generated.ReplaceAllStringFunc(text, func(part string) string {
			m := generated.FindStringSubmatch(part)
			if m[2] == "fields" {
				return m[1] + "\n" + fieldsOf(t, m[3]) + m[4]
			}
			return m[1] + "\n" + parametersOf(t, m[3]) + m[4]
		})
		if *update && want != text {
			require.NoError(t, os.WriteFile(page, []byte(want), 0o600))
		} else {
			assert.True(t, want == text, "%s is old: run go generate .", page)
		}
	}
}

func TestSettingsNameEveryPoolParameter(t *testing.T) {
	text := pages(t)["docs/settings.md"]
	for field, name := range parameterNames(t, "pool") {
		assert.Contains(t, text, "`"+name+"`", "the parameter for %s", field)
	}
}

// field is a field of a struct for settings, or several fields that share a comment.
type field struct {
	names []string
	typ   string
	doc   string // a line for each paragraph
}

// fieldsOf returns a table of the fields of a type such as pool.Config, and
// a section for each.
func fieldsOf(t *testing.T, typ string) string {
	dir, name := strings.TrimSuffix(typ, path.Ext(typ)), strings.TrimPrefix(path.Ext(typ), ".")
	prefix := name + "." // keeps the headings of a page apart
	switch {
	case typ == "pool.Config":
		prefix = ""
	case name == "Config":
		prefix = path.Base(dir) + "."
	}
	parameters := parameterNames(t, dir)
	var table, sections strings.Builder
	head, rule := "| setting |", "|---|"
	if len(parameters) > 0 {
		head, rule = head+" in a DSN |", rule+"---|"
	}
	table.WriteString(head + " zero means | negative means |\n" + rule + "---|---|\n")
	for _, f := range structFields(t, dir, name) {
		parameter := parameters[f.names[0]]
		if name != "Config" {
			parameter = parameters[name+"."+f.names[0]]
		}
		switch {
		case parameter != "":
			parameter = "| `" + parameter + "` "
		case len(parameters) > 0:
			parameter = "| "
		}
		title := strings.Join(f.names, ", ")
		heading := "### " + prefix + title
		zero, negative := f.special()
		fmt.Fprintf(&table, "| [%s](#%s) %s| %s | %s |\n", title, anchors(heading)[0], parameter, zero, negative)
		fmt.Fprintf(&sections, "\n%s\n\n`%s %s`\n\n%s\n", heading, title, f.typ, f.doc)
	}
	return table.String() + sections.String() + "\n"
}

// structFields returns the exported fields of the struct name in the package in dir.
func structFields(t *testing.T, dir, name string) (fields []field) {
	fset := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				var typ bytes.Buffer
				require.NoError(t, printer.Fprint(&typ, fset, f.Type))
				one := field{typ: typ.String(), doc: plain(f.Doc.Text())}
				for _, n := range f.Names {
					one.names = append(one.names, n.Name)
				}
				fields = append(fields, one)
			}
			return false
		})
	}
	require.NotEmpty(t, fields, "%s.%s", dir, name)
	return fields
}

// plain returns the text of a comment with a line for each paragraph, and with code
// in place of the links to other names.
func plain(comment string) string {
	paragraphs := strings.Split(strings.TrimSpace(comment), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.ReplaceAll(p, "\n", " ")
	}
	return regexp.MustCompile(`\[([\w.]+)\]`).ReplaceAllString(strings.Join(paragraphs, "\n\n"), "`$1`")
}

var (
	sentences = regexp.MustCompile(`\. ([A-Z])`)
	meaning   = regexp.MustCompile(`^(Zero or negative|Zero|Empty|Nil|Negative|The zero \w+) (means |is )?(that )?(.*?)(: .*|; .*|, and .*)?\.?$`)
)

// special returns what the comment says about zero and about negative values.
func (f field) special() (zero, negative string) {
	text := strings.ReplaceAll(f.doc, "\n\n", " ")
	for sentence := range strings.SplitSeq(sentences.ReplaceAllString(text, ".\n$1"), "\n") {
		m := meaning.FindStringSubmatch(sentence)
		if m == nil {
			continue
		}
		if m[1] != "Negative" {
			zero = m[4]
		}
		if strings.Contains(strings.ToLower(m[1]), "negative") {
			negative = m[4]
		}
	}
	return zero, negative
}

// parameterNames returns the DSN parameters that package dir binds to fields, keyed by
// field.
func parameterNames(t *testing.T, dir string) map[string]string {
	names := map[string]string{}
	files := map[string]struct{ name, prefix string }{"pool": {"dsn.go", "pool_"}, "pool/fleet": {"open.go", ""}}
	file, ok := files[dir]
	if !ok {
		return names
	}
	source, err := os.ReadFile(filepath.Join(dir, file.name))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`"([a-z_]+)", &c\.([\w.]+)`).FindAllStringSubmatch(string(source), -1) {
		names[m[2]] = file.prefix + m[1]
	}
	require.NotEmpty(t, names)
	return names
}

// parametersOf returns the table of DSN parameters in the doc of the driver in dir.
func parametersOf(t *testing.T, dir string) string {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "doc.go"), nil, parser.ParseComments)
	require.NoError(t, err)
	_, rest, found := strings.Cut(file.Doc.Text(), "\n\tname ")
	require.True(t, found)
	rows, _, _ := strings.Cut("name "+rest, "\n\n")
	header, rows, _ := strings.Cut(rows, "\n")
	at := []int{0, strings.Index(header, "type"), strings.Index(header, "default"), strings.Index(header, "meaning")}
	var table strings.Builder
	table.WriteString("| parameter | type | default | meaning |\n|---|---|---|---|\n")
	for row := range strings.Lines(rows) {
		row = strings.TrimSpace(row)
		cell := func(i, end int) string { return strings.TrimSpace(row[at[i]:end]) }
		require.False(t, unicode.IsSpace(rune(row[0])))
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", cell(0, at[1]), cell(1, at[2]), cell(2, at[3]), cell(3, len(row)))
	}
	return table.String() + "\n"
}
