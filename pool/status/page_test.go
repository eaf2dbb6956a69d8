package status

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/pool"
)

func TestThePageSaysWhyCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(7, "imaps ada@mail.example.org")
		f.holders = []pool.Holder{
			{Age: 95 * time.Second, Peer: "10.0.0.7:993", Suspect: true, Stack: "main.(*worker).sync\n\t/src/worker.go:88"},
			{Age: 99 * time.Second, Suspect: true},
			{Age: time.Second, Peer: "not a suspect"},
		}
		f.set(inTrouble)
		page := New(f)
		defer page.Close()
		text := strings.ReplaceAll(get(page, "").Body.String(), space, " ")
		for _, want := range []string{
			"<title>down: imaps ada@mail.example.org</title>",
			`<h1>imaps ada@mail.example.org</h1>`, ` Down</h2>`,
			"connecting fails (12s): &#34;&lt;script&gt;alert(1)", "98 of 100 connections",
			`<dt>In use</dt><dd>2 <small>of 10, limit 4</small></dd>`,
			`<div class="degraded"><dt>Callers waiting</dt><dd>17</dd>`,
			`<div class="degraded"><dt>Longest wait</dt><dd>2.1 s</dd>`,
			`<div class="down"><dt>Next connect in</dt><dd>3 s</dd>`,
			"<b>2</b> in use", "<b>1</b> at the gate", "<b>4</b> not open",
			`in use <span class="suspect">leaked?</span></span></th><td class="number">1 min 35 s</td><td class="number">1 h</td><td class="number wide">1,234</td><td class="peer">10.0.0.7:993</td>`,
			`<td class="short">connect</td><td>dial &lt;b&gt;refused&lt;/b&gt;</td>`,
			"held for 1 min 35 s</span>: connection to 10.0.0.7:993 <code>main.(*worker).sync</code></summary>", "\t/src/worker.go:88</pre>", "Acquired before stacks were recorded",
			`<span class="suspect">down</span></td><th scope="row">10.0.0.7:993 <span class="soft">mail.example.org:993</span><div class="why-cell">refused</div></th><td class="number">1 min 30 s</td><td class="number">0</td><td class="number wide">1</td>`,
			`<td class="short">untried</td><th scope="row">10.0.0.8:993</th><td class="number">–</td><td class="number">3</td>`,
			`<th scope="row">Acquires</th><td class="number">12,345</td>`,
			`<th scope="row">Given up for another pool at the gate</th><td class="number">6</td>`,
			`<th scope="row">MaxIdle</th><td class="number">∞</td>`,
		} {
			assert.Contains(t, text, want)
		}
		assert.NotContains(t, text, "not a suspect")
	})
}

func TestTheOverviewHasTheWorstFirstAndTheSumOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, slow, down := newFake(1, "good"), newFake(2, "slow"), newFake(3, "down")
		slow.set(func(s *pool.Snapshot) { s.State, s.Stats.Waiting, s.Stats.Leased = pool.Degraded, 3, 10 })
		down.set(func(s *pool.Snapshot) { s.State, s.Why, s.Stats.Waiting = pool.Down, "connecting fails", 4 })
		page := New(newFake(4, "alone"), newFake(5, "below"))
		defer page.Close()
		mail := map[string]Source{"a": good, "b": slow, "c": down}
		page.AddGroup("mail", func(yield func(Source) bool) {
			for _, s := range mail {
				if !yield(s) {
					return
				}
			}
		})
		names := func(text string) (names []string) {
			for _, m := range regexp.MustCompile(`<th scope="row"><a href="\?pool=\w+">(\w+)</a>`).FindAllStringSubmatch(text, -1) {
				names = append(names, m[1])
			}
			return names
		}
		synctest.Wait()    // the first refresh may have been before AddGroup
		after(time.Second) // until the next
		text := get(page, "").Body.String()
		assert.Equal(t, []string{"alone", "below", "down", "slow", "good"}, names(text))
		assert.Contains(t, text, "<title>1 down: pools</title>")
		assert.Contains(t, text, `</svg> 3 healthy</span>`)
		assert.Contains(t, text, `mail <span class="soft">(3 pools)</span></th><td class="number"><div class="use"><span>10</span></div></td><td class="number">7</td>`)
		delete(mail, "c")
		after(time.Second)
		assert.Equal(t, []string{"alone", "below", "slow", "good"}, names(get(page, "").Body.String()))
		clear(mail)
		after(time.Second)
		assert.Contains(t, get(page, "").Body.String(), "(0 pools)", "a group stays")
	})
}

func TestAPoolIsFoundByItsNameOrItsID(t *testing.T) {
	page := New(newFake(1, "a & b"), newFake(2, "twin"), newFake(3, "twin"), newFake(4, "7"), newFake(7, "other"))
	defer page.Close()
	text := get(page, "").Body.String()
	for _, want := range []string{"?pool=a&#43;%26&#43;b", "?pool=2", "?pool=3", "?pool=7", "?pool=other"} {
		assert.Contains(t, text, `<a href="`+want+`">`)
	}
	for query, want := range map[string]string{"?pool=a+%26+b": "a &amp; b", "?pool=3": "twin", "?pool=7": "7", "?pool=other": "other"} {
		w := get(page, query)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Contains(t, w.Body.String(), "<h1>"+want+"</h1>", query)
		assert.Contains(t, w.Body.String(), `<a href="?">All pools</a>`)
	}
	for _, query := range []string{"?pool=twin", "?pool=99", "?pool=nobody"} {
		w := get(page, query)
		assert.Equal(t, http.StatusNotFound, w.Code)
		assert.Contains(t, w.Body.String(), "There is no such pool")
		assert.Equal(t, http.StatusNotFound, get(page, query+"&format=json").Code)
	}
}

// checkDocument checks what must be true of every page: it is well-formed, a screen
// reader can read it, and it has nothing that the policy forbids.
func checkDocument(t *testing.T, text string) {
	t.Helper()
	text = regexp.MustCompile(`(?s)<(script|style)>.*?</(script|style)>`).ReplaceAllString(text, "")
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Entity = xml.HTMLEntity
	ids, labels, headings, captions, tables := map[string]bool{}, []string{}, 0, 0, 0
	level := "h1"
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		has := map[string]string{}
		for _, a := range e.Attr {
			has[a.Name.Local] = a.Value
			assert.False(t, a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on"), "the policy forbids %s", a.Name.Local)
		}
		if id := has["id"]; id != "" {
			assert.False(t, ids[id], "two elements have the id %s", id)
			ids[id] = true
		}
		labels = append(labels, has["aria-labelledby"])
		switch name := e.Name.Local; name {
		case "h1", "h2", "h3":
			headings++
			assert.LessOrEqual(t, name[1], level[1]+1, "no level is left out")
			level = name
		case "caption":
			captions++
		case "table":
			tables++
		case "th":
			assert.NotEmpty(t, has["scope"])
		case "svg":
			assert.True(t, has["aria-hidden"] == "true" || has["role"] == "img", "a picture has a text, or a screen reader skips it")
		}
	}
	assert.Positive(t, headings)
	assert.Equal(t, tables, captions)
	for _, l := range labels {
		assert.True(t, l == "" || ids[l], "no element has the id %s", l)
	}
}

func TestThePageIsWellFormed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, "<one> & \"two\"")
		f.holders = []pool.Holder{{Suspect: true, Stack: "a\n\tb"}, {Suspect: true}}
		many := New(f, newFake(2, "other"))
		defer many.Close()
		many.AddGroup("<group>", slices.Values([]Source{newFake(3, "third")}))
		one, none := New(f), New()
		defer one.Close()
		defer none.Close()
		for _, change := range []func(*pool.Snapshot){func(*pool.Snapshot) {}, inTrouble} {
			f.set(change)
			for range 3 {
				after(sampleEvery)
				checkDocument(t, get(one, "").Body.String())
				checkDocument(t, get(many, "").Body.String())
				checkDocument(t, get(many, "?pool=nobody").Body.String())
			}
		}
		checkDocument(t, get(none, "").Body.String())
	})
}

func TestThePolicyAllowsOnlyThePagesOwnScript(t *testing.T) {
	page := New()
	defer page.Close()
	w := get(page, "")
	policy := w.Header().Get("Content-Security-Policy")
	for name, pattern := range map[string]string{"script-src": `(?s)<script>(.*)</script>`, "style-src": `(?s)<style>(.*)</style>`} {
		inline := regexp.MustCompile(pattern).FindStringSubmatch(w.Body.String())
		require.NotNil(t, inline)
		assert.Contains(t, policy, "; "+name+" '"+hash(inline[1])+"'; ")
	}
	assert.Contains(t, policy, "default-src 'none'; ")
	assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	assert.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
	assert.NotRegexp(t, `(?i)https?://`, strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", ""), "nothing from another host")
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	page := New(newFake(1, "a"))
	defer page.Close()
	ask := func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		w := ask(method, "/")
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	head, whole := ask("HEAD", "/"), ask("GET", "/")
	assert.Empty(t, head.Body.String())
	assert.Equal(t, whole.Header(), head.Header())
	assert.Equal(t, http.StatusBadRequest, ask("GET", "/?format=xml").Code)
}
