package browser

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tab is a tab of Chromium. Its methods fail the test if they can't do their job.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex      // guards the fields below
	hosts    map[string]bool // that got a request
	requests int
	errors   []string // from the console
}

// newTab opens a tab in a new Chromium, or fails or skips the test. If an error appears on
// its console, the test fails at its end.
func newTab(t *testing.T) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		const why = "chromium is not installed; install Debian's package chromium"
		if os.Getenv("HOTLINE_SERVERS") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path)}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // the sandbox does not work for root
	}
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(options...))
	t.Cleanup(cancel)
	tb := &tab{t: t, ctx: ctx, hosts: make(map[string]bool)}
	require.NoError(t, chromedp.Do(ctx))
	require.NoError(t, chromedp.Listen(ctx, tb.note))
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	t.Cleanup(func() {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		assert.Empty(t, tb.errors, "on the console")
	})
	return tb
}

// note records errors, and the hosts that got requests.
func (tb *tab) note(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" {
			tb.hosts[u.Host] = true
			tb.requests++
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			tb.errors = append(tb.errors, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		tb.errors = append(tb.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		tb.errors = append(tb.errors, string(e.Type))
	}
}

// asked returns the hosts that got requests, and the number of requests.
func (tb *tab) asked() (hosts []string, requests int) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for host := range tb.hosts {
		hosts = append(hosts, host)
	}
	return hosts, tb.requests
}

// show sets the size and the color scheme, and loads url.
func (tb *tab) show(url string, width int64, scheme string) {
	tb.t.Helper()
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(tb.t, err)
	require.NoError(tb.t, chromedp.Do(tb.ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url)))
}

// eval evaluates a script in the page.
func eval[T any](tb *tab, script string) T {
	tb.t.Helper()
	value, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](script))
	require.NoError(tb.t, err)
	return value
}

// text returns the text of the first element that matches a selector.
func (tb *tab) text(selector string) string {
	tb.t.Helper()
	return eval[string](tb, "document.querySelector('"+selector+"')?.textContent ?? ''")
}

// await waits until a script returns true.
func (tb *tab) await(script string) {
	tb.t.Helper()
	require.Eventually(tb.t, func() bool {
		ok, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](script))
		return err == nil && ok
	}, 30*time.Second, 20*time.Millisecond, "%s", script)
}
