// Package observe shows a pool in every way at once: on a page, in Prometheus, in
// OpenTelemetry and in slog. docs/observe.md shows its code.
package observe
