# All of these need only Go, except ci, which installs Debian packages. A test whose server
# is not installed is skipped. See CONTRIBUTING.md.
.PHONY: test race lint bench api ci

test: # what to run after each change
	go test -short ./...

race:
	go test -race ./...

lint: # format, modules, vet, staticcheck
	bash .ci/lint

bench: # the pool's own; internal/benchmarks compares it with others
	go test ./pool -run '^$$' -bench Acquire

api: # what changed since the last tag
	bash .ci/api

ci: # all that must hold before a change lands
	bash .ci/run
