package browser

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

// demo runs hotline demo until the test ends, and returns the address of its page.
func demo(t *testing.T) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hotline")
	build := exec.Command("go", "build", "-o", path, "./cmd/hotline")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	command := exec.CommandContext(t.Context(), path, "demo", "--for", "1m", "--listen", "127.0.0.1:0")
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Wait() }) // runs after t.Context has ended
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(strings.TrimPrefix(line, "page"))
}

func TestThePageFollowsTheDemo(t *testing.T) {
	tb := newTab(t)
	url := demo(t)
	tb.show(url, 1600, "light")
	tb.await("document.title.startsWith('healthy: tcp 127.0.0.1:')")
	assert.Equal(t, "Live", tb.text("#live"))
	acquires := "document.querySelectorAll('.figures dd')[5].textContent"
	first := eval[string](tb, acquires)
	tb.await(fmt.Sprintf("%s !== %q", acquires, first))

	tb.await(crashed)
	seen := eval[[]string](tb, "window.crashed")
	assert.Regexp(t, `connecting fails .*connection refused`, seen[0])
	assert.Equal(t, " Down", seen[1])
	var r, g, b int
	_, err := fmt.Sscanf(seen[2], "rgb(%d, %d, %d)", &r, &g, &b)
	require.NoError(t, err)
	assert.True(t, r > 3*g && r > 3*b, "red, not %d %d %d", r, g, b)
	assert.Contains(t, seen[3], "down: tcp ")

	tb.await("document.querySelector('.verdict').classList.contains('healthy')")
	assert.Contains(t, tb.text("#strip-text"), "down for")
	hosts, requests := tb.asked()
	assert.Equal(t, []string{regexp.MustCompile(`[\d.]+:\d+`).FindString(url)}, hosts)
	assert.Greater(t, requests, 5)
}

// crashed reports whether the page says that the server has crashed, and keeps what it
// says: the server is back soon.
const crashed = `(() => {
  const verdict = document.querySelector('.verdict');
  if (!verdict.classList.contains('down')) return false;
  const head = verdict.querySelector('h2');
  window.crashed = [verdict.querySelector('.why')?.textContent ?? '', head.textContent, getComputedStyle(head).color, document.title];
  return true;
})()`

func TestWithoutScriptsThePageReloadsItself(t *testing.T) {
	tb := newTab(t)
	f := newFake("tcp 192.0.2.7:1", 1)
	server := serve(t, f)
	_, err := chromedp.Call(tb.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	tb.show(server.URL, 1600, "light")
	title := func() string { // "" while the page is being replaced
		title, _ := chromedp.Run(tb.ctx, chromedp.Title())
		return title
	}
	assert.Equal(t, "degraded: tcp 192.0.2.7:1", title())
	f.set(func(s *pool.Snapshot) { s.State = pool.Down })
	require.Eventually(t, func() bool { return title() == "down: tcp 192.0.2.7:1" }, 20*time.Second, 100*time.Millisecond)
}

func TestThePageFitsAndIsLegible(t *testing.T) {
	tb := newTab(t)
	one := serve(t, newFake("imaps ada.lovelace@mail.example.org:993", 1))
	many := serve(t, newFake("imaps ada.lovelace@mail.example.org:993", 1), newFake("tcp 192.0.2.7:1", 2))
	backgrounds := map[string]bool{}
	for _, server := range []string{one.URL, many.URL} {
		for _, width := range []int64{400, 1600} {
			for _, scheme := range []string{"light", "dark"} {
				tb.show(server, width, scheme)
				assert.LessOrEqual(t, eval[int64](tb, "document.documentElement.scrollWidth"), width, "it scrolls to the side")
				assert.Empty(t, eval[[]string](tb, pale), "text that is hard to read on %s", scheme)
				backgrounds[eval[string](tb, "getComputedStyle(document.body).backgroundColor")] = true
			}
		}
	}
	assert.Len(t, backgrounds, 2, "light and dark")
}

// pale finds text whose contrast with its background is less than 4.5 to 1, the minimum of
// the Web Content Accessibility Guidelines.
const pale = `(() => {
  const numbers = c => c.match(/[\d.]+/g).map(Number);
  const luminance = c => numbers(c).slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (numbers(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, script, .hide") || ![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.nodeValue.trim())) continue;
    const [dark, light] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => a - b);
    const contrast = (light + .05) / (dark + .05);
    if (contrast < 4.5) found.push(contrast.toFixed(2) + ": " + e.outerHTML.slice(0, 100));
  }
  return found;
})()`

func TestAnUpdateKeepsTheFocusAndTheOpenDetails(t *testing.T) {
	tb := newTab(t)
	f := newFake("tcp 192.0.2.7:1", 1)
	tb.show(serve(t, f).URL, 1600, "light")
	eval[bool](tb, "(() => { const s = document.querySelector('summary'); s.focus(); s.click(); return true })()")
	f.set(func(s *pool.Snapshot) { s.Stats.Waiting = 4711 })
	tb.await("document.querySelectorAll('.figures dd')[2].textContent === '4,711'")
	assert.True(t, eval[bool](tb, "document.activeElement === document.querySelector('summary') && document.querySelector('details').open"))

	eval[bool](tb, "(() => { const b = document.getElementById('pause'); b.focus(); b.click(); return true })()")
	assert.Contains(t, tb.text("#live"), "Paused at ")
	_, before := tb.asked()
	<-time.After(2500 * time.Millisecond)
	_, requests := tb.asked()
	assert.Equal(t, before, requests)
	eval[bool](tb, "(() => { document.getElementById('pause').click(); return true })()")
	tb.await("document.getElementById('live').textContent === 'Live'")
}

func TestAPageThatIsNotUpdatedSaysSo(t *testing.T) {
	tb := newTab(t)
	server := serve(t, newFake("tcp 192.0.2.7:1", 1))
	tb.show(server.URL, 1600, "light")
	tb.await("document.getElementById('live').textContent === 'Live'")
	server.Close()
	tb.await("document.getElementById('live').className === 'stale'")
	assert.Contains(t, tb.text("#live"), "Not updated since ")
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.errors = nil // Chromium reports that the server is gone
}
