# See CONTRIBUTING.md. All of these need only Go, with two exceptions: race needs a C compiler,
# and ci installs Debian packages. A test whose server is not installed is skipped, except in ci.
.PHONY: test race lint bench api ci

test: # run it after each change
	go test -short ./...

race:
	go test -race ./...

lint: # format, modules, vet, staticcheck
	bash .ci/lint

bench: # only the pool; internal/benchmarks compares it with others
	go test ./pool -run '^$$' -bench Acquire

api: # what has changed since the last tag
	bash .ci/api

ci: # everything that must hold before a change lands
	bash .ci/run
