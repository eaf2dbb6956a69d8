// Package browser tests the page of pool/status in Chromium, and makes its screenshot for
// the documentation. It has its own module, so that nobody else downloads the code that
// drives the browser.
//
//	go test ./...
//	HOTLINE_SCREENSHOT=../../docs/status.png go test -run Screenshot .
//
// Without Chromium (Debian's package chromium), the tests are skipped, or fail if
// HOTLINE_SERVERS=required.
package browser
