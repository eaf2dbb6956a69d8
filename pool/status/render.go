package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"time"

	"github.com/hotline-go/hotline/pool"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// pageTemplate renders a content.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"css": func() template.CSS { return template.CSS(pageCSS) },
	"js":  func() template.JS { return template.JS(pageJS) },

	"span": span, "since": since, "number": number, "limit": limit, "clock": clock, "stamp": stamp, "capital": capital, "first": first, "age": age,
}).Parse(pageHTML + budgetHTML))

// policy is the Content-Security-Policy. It allows the page's own script and style, and
// requests to its own origin.
var policy = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	hash(pageJS), hash(pageCSS))

// hash returns the source expression that allows an inline script or style in a policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// content is the input of the template.
type content struct {
	Title, Heading string
	Icon           template.URL
	At             time.Time
	JSON           string // link to the same data as JSON
	Back           bool   // to the overview
	Missing        bool   // the requested pool does not exist
	Closed         []link // closed pools, if the page shows only one pool
	Overview       *overview
	Pool           *detail
}

// link leads to a pool.
type link struct{ Pool, Link string }

// icons are the colors of the page's icon, on light and dark.
var icons = map[pool.State]string{
	pool.Healthy: "2fa463", pool.Degraded: "e09a1a", pool.Down: "e0403a", pool.Suspended: "8a8a83", pool.Closed: "8a8a83",
}

// icon is a dot in the color of s.
func icon(s pool.State) template.URL {
	return template.URL("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23" + icons[s] + "'/%3E%3C/svg%3E")
}

// html draws the page of t, or the overview if t is nil.
func (w *watch) html(t *track, missing bool) ([]byte, error) {
	c := content{Title: "Pools", Heading: "Pools", Icon: icon(pool.Closed), At: w.at, JSON: "?format=json", Back: t != nil, Missing: missing}
	if t == nil && !missing {
		t, c.Closed = w.only()
	}
	if t != nil {
		c.Pool = w.detail(t)
		c.Title, c.Heading = fmt.Sprintf("%s: %s", t.now.State, t.now.Pool), t.now.Pool
		c.Icon, c.JSON = icon(t.now.State), "?format=json&"+w.query(t)
	} else if c.Overview = w.overview(); len(c.Overview.Counts) > 0 {
		worst := c.Overview.Counts[0]
		c.Title, c.Icon = fmt.Sprintf("%d %s: pools", worst.N, worst.State), icon(worst.State)
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, c)
	return out.Bytes(), err
}

// only returns the only pool that is not closed, and links to the closed ones. It returns
// nothing if there is a group, or more than one pool that is not closed.
func (w *watch) only() (t *track, closed []link) {
	for _, g := range w.shown {
		for _, other := range g.tracks {
			switch {
			case !g.single || t != nil && other.now.State != pool.Closed:
				return nil, nil
			case other.now.State != pool.Closed:
				t = other
			default:
				closed = append(closed, link{other.now.Pool, "?" + w.query(other)})
			}
		}
	}
	return t, closed
}

// jsonPage is the page as JSON.
type jsonPage struct {
	At    time.Time  `json:"at"`
	Pools []jsonPool `json:"pools"`
}

// jsonPool is a pool in a jsonPage.
type jsonPool struct {
	Group string `json:"group,omitempty"`
	pool.Snapshot
	Holders []pool.Holder `json:"holders,omitempty"` // only if one pool was requested
}

// json prints the pool of t, or all pools if t is nil, or none if it is missing.
func (w *watch) json(t *track, missing bool) ([]byte, error) {
	page := jsonPage{At: w.at, Pools: []jsonPool{}}
	for _, g := range w.shown {
		for _, other := range g.tracks {
			switch {
			case t == other:
				page.Pools = append(page.Pools, jsonPool{g.name, t.now, t.source.Holders()})
			case t == nil && !missing:
				page.Pools = append(page.Pools, jsonPool{Group: g.name, Snapshot: other.now})
			}
		}
	}
	return json.Marshal(page)
}
