package status

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// writeTimeout is how long a reader may take to receive the page.
const writeTimeout = 10 * time.Second

// errClosed is the answer after Close.
var errClosed = errors.New("status: the page is closed")

// view is what a reader requests.
type view struct {
	pool    uint64 // Snapshot.ID; zero for all pools
	missing bool   // the requested pool does not exist
	json    bool
}

// document is a rendered answer, shared by its readers.
type document struct {
	code int
	text []byte
}

// ServeHTTP answers GET and HEAD with the page. The page is drawn at most once a second
// for all readers. A slow reader holds a goroutine for at most 10 seconds, and never
// a lock.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "status: want GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // fails only if the writer is not a socket
	query := r.URL.Query()
	format := query.Get("format")
	if format != "" && format != "json" {
		http.Error(w, "status: unknown format; want format=json or none", http.StatusBadRequest)
		return
	}
	doc, err := p.draw(query.Get("pool"), format == "json")
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	if format == "json" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(doc.text)))
	w.WriteHeader(doc.code)
	if r.Method == http.MethodGet {
		_, _ = w.Write(doc.text) // fails only if the reader has left
	}
}

// draw returns the page of the pool whose name or ID is name, or of all pools if name is
// empty.
func (p *Page) draw(name string, asJSON bool) (document, error) {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	fresh := max(freshFor, restFor*p.cost)
	if time.Since(p.watch.at) >= fresh && !p.refresh() {
		return document{}, errClosed
	}
	v := view{json: asJSON}
	var t *track
	if name != "" {
		if t = p.watch.find(name); t != nil {
			v.pool = t.now.ID
		} else {
			v.missing = true
		}
	}
	doc, drawn := p.rendered[v]
	if drawn {
		return doc, nil
	}
	defer p.spend(time.Now())
	doc, err := p.watch.document(v, t)
	if err == nil {
		p.rendered[v] = doc
	}
	return doc, err
}

// document draws the page of t, or of all pools if t is nil.
func (w *watch) document(v view, t *track) (document, error) {
	doc := document{code: http.StatusOK}
	if v.missing {
		doc.code = http.StatusNotFound
	}
	var err error
	if v.json {
		doc.text, err = w.json(t, v.missing)
	} else {
		doc.text, err = w.html(t, v.missing)
	}
	return doc, err
}
