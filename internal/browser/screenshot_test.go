package browser

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestScreenshot draws the page of a pool with a history. If HOTLINE_SCREENSHOT is set, it
// writes the screenshot for the documentation to that file.
func TestScreenshot(t *testing.T) {
	tb := newTab(t)
	page := story(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) }))
	t.Cleanup(server.Close)
	tb.show(server.URL, 1200, "light")
	assert.Equal(t, " Degraded", tb.text(".verdict h2"))
	assert.Regexp(t, `callers wait, .* all 12 connections are in use; 1 lease may be leaked`, tb.text(".verdict .why"))
	assert.Regexp(t, `down for \d+.s, degraded for .*, healthy for `, tb.text("#strip-text"))
	require.NoError(t, chromedp.Do(tb.ctx, chromedp.EmulateViewport(1200, 1090)))
	picture, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	config, err := png.DecodeConfig(bytes.NewReader(picture))
	require.NoError(t, err)
	assert.Equal(t, 1200, config.Width)
	assert.Less(t, len(picture), 200_000)
	if path := os.Getenv("HOTLINE_SCREENSHOT"); path != "" {
		require.NoError(t, os.WriteFile(path, picture, 0o644))
	}
}
