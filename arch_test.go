package hotline

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/hotline-go/hotline"

// listed is a package as go list prints it.
type listed struct {
	ImportPath string
	Dir        string
	Name       string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// local returns the path below the module, or "." for its root.
func (p listed) local() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

// list runs go list with args and returns its packages.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json"}, args...)...).Output()
	require.NoError(t, err, "go list %v", args)
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// under reports whether the package path is one of folders or below one.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

func TestPackagesImportOnlyWhatTheLayoutAllows(t *testing.T) {
	rules := []struct {
		from    string
		allowed []string // packages of this module
		why     string
	}{
		{".", nil, "the root holds only documentation"},
		{"driver", []string{"internal/registry"}, "the contract depends on nobody, so that everybody can depend on it"},
		{"driver/adapt", []string{"driver", "conn"}, "a driver is useful without the pool and without retry"},
		{"driver/dsn", nil, "text in, values out"},
		{"driver/endpoints", []string{"driver"}, "many servers are one connector to any pool"},
		{"driver/drivertest", []string{"driver", "internal/registry"}, "a driver's author gets the contract, not our pool"},
		{"conn", []string{"driver"}, "drivers are built on it, so it knows none of them"},
		{"pool", []string{"driver"}, "the pool takes any connection: none of ours is special"},
		{"pool/fleet", []string{"driver", "pool"}, "a gate for any pool: it knows no store, and stores know it"},
		{"pool/fleet/fleettest", []string{"pool/fleet"}, "a store's author gets the contract, not our stores"},
		{"pool/fleet/postgres", []string{"driver", "pool/fleet"}, "a store is what its engine can do, and decides nothing"},
		{"pool/fleet/redis", []string{"driver", "conn", "pool/fleet"}, "a store is what its engine can do, and decides nothing"},
		{"pool/keyed", []string{"driver", "pool"}, "one pool for each key, and no second engine"},
		{"pool/internal/roster", []string{"pool"}, "what pool/otel and pool/prometheus have in common, without their dependencies"},
		{"pool/status", []string{"pool"}, "a page asks pools and changes nothing"},
		{"retry", []string{"driver"}, "retry is useful without the pool"},
		{"drivers", []string{"driver", "conn", "drivers"}, "a driver is useful without the pool and without retry"},
		{"internal/memnet", nil, "a network knows no protocol"},
		{"internal/registry", nil, "drivers by name: it knows nothing about them"},
		{"internal/secrettest", []string{"driver"}, "what a secret is does not depend on who shows it"},
		{"internal/testcert", nil, "certificates know no protocol"},
		{"internal/testclock", nil, "a clock knows nothing but the time"},
		{"internal/testport", nil, "a port knows no protocol"},
		{"internal/mailserver", []string{"internal/testcert", "internal/testport"}, "a server shares no code with the client that it tests"},
		{"internal/testserver", []string{"internal/testcert"}, "a server shares no code with the client that it tests"},
	}
	for _, p := range list(t, "./...") {
		if under(p.local(), "cmd") {
			continue // the command uses everything
		}
		known := false
		for _, r := range rules {
			if p.local() != r.from && !(r.from == "drivers" && under(p.local(), "drivers")) {
				continue
			}
			known = true
			for _, imported := range p.Imports {
				if path, ours := strings.CutPrefix(imported, module+"/"); ours {
					assert.True(t, under(path, r.allowed...), "%s imports %s: %s", p.local(), path, r.why)
				}
			}
		}
		assert.True(t, known, "no rule says what %s may import", p.local())
	}
}

func TestCoreDependsOnLittle(t *testing.T) {
	allowed := []string{module, "github.com/go-logr/logr"}
	for _, p := range list(t, "-deps", "./pool/...", "./drivers/tcp", "./drivers/tls", "./driver/drivertest") {
		if !p.Standard {
			assert.True(t, under(p.ImportPath, allowed...), "importing the pool and a driver also brings in %s", p.ImportPath)
		}
	}
}

func TestOnlyTheCommandReadsFlagsAndEnvironment(t *testing.T) {
	for _, p := range list(t, "./...") {
		if under(p.local(), "cmd") {
			continue
		}
		assert.NotContains(t, p.Imports, "flag", p.local())
		if p.local() == "internal/mailserver" {
			continue // a variable makes it fail, not skip, if a server is missing
		}
		for _, file := range parse(t, token.NewFileSet(), p) {
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "os" {
						assert.NotContains(t, []string{"Getenv", "LookupEnv", "Environ", "Args"}, sel.Sel.Name, "%s reads os.%s", p.local(), sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

func TestOnlyTestHelpersImportTesting(t *testing.T) {
	helpers := []string{"driver/drivertest", "pool/fleet/fleettest", "internal/mailserver", "internal/memnet", "internal/secrettest", "internal/testcert", "internal/testclock", "internal/testport", "internal/testserver"}
	for _, p := range list(t, "./...") {
		if !under(p.local(), helpers...) {
			assert.NotContains(t, p.Imports, "testing", "%s would bring test flags into programs", p.local())
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, p := range list(t, "./...") {
		fset := token.NewFileSet()
		d, err := doc.NewFromFiles(fset, parse(t, fset, p), p.ImportPath)
		require.NoError(t, err)
		assert.NotEmpty(t, d.Doc, "%s has no package doc", p.local())
		missing := func(doc, name string) {
			assert.NotEmpty(t, doc, "%s: %s has no doc comment", p.local(), name)
		}
		funcs := d.Funcs
		for _, typ := range d.Types {
			missing(typ.Doc, typ.Name)
			funcs = append(append(funcs, typ.Funcs...), typ.Methods...)
		}
		for _, f := range funcs {
			if f.Recv == "" || !isPromise(f.Name) {
				missing(f.Doc, f.Name)
			}
		}
		for _, file := range parse(t, fset, p) {
			for _, decl := range file.Decls {
				if g, ok := decl.(*ast.GenDecl); ok {
					checkSpecs(g, missing)
				}
			}
		}
	}
}

// checkSpecs calls missing for the exported constants, variables, fields and methods of
// interfaces in g. One comment may be for several names: it is above a group of values, or
// above the first field and has the names of the others, or at the type and has its name.
func checkSpecs(g *ast.GenDecl, missing func(doc, name string)) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() {
					missing(g.Doc.Text()+spec.Doc.Text()+spec.Comment.Text(), name.Name)
				}
			}
		case *ast.TypeSpec:
			above := g.Doc.Text() + spec.Doc.Text()
			for _, field := range members(spec) {
				above += field.Doc.Text()
				for _, name := range field.Names {
					typ, _ := field.Type.(*ast.Ident) // Stats Stats needs no comment
					named := typ != nil && typ.Name == name.Name || slices.Contains(words.FindAllString(above, -1), name.Name)
					if spec.Name.IsExported() && name.IsExported() && !named {
						missing(field.Doc.Text()+field.Comment.Text(), spec.Name.Name+"."+name.Name)
					}
				}
			}
		}
	}
}

var words = regexp.MustCompile(`\w+`)

// members returns the fields of a struct or the methods of an interface.
func members(spec *ast.TypeSpec) []*ast.Field {
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		return typ.Fields.List
	case *ast.InterfaceType:
		return typ.Methods.List
	}
	return nil
}

// isPromise reports whether a method belongs to a well-known interface, so a comment
// would add nothing.
func isPromise(method string) bool {
	return slices.Contains([]string{"Error", "Unwrap", "Is", "String", "GoString", "Timeout", "Temporary",
		"Deadline", "Done", "Err", "Value", "Len", "Less", "Swap"}, method)
}

// parse returns the syntax of the files of p.
func parse(t *testing.T, fset *token.FileSet, p listed) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}
