// Package observe shows a pool in every way at once: on a page, in Prometheus, in
// OpenTelemetry and in slog. Its example is the one of the README.
package observe
