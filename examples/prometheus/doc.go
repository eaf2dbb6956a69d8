// Package prometheus runs a real Prometheus on a program with pools. It scrapes their
// metrics and answers each query of the dashboard and of the alert rules that come
// with pool/prometheus.
package prometheus
