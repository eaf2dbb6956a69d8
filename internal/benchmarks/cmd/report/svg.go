package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"regexp"
)

// chart is a plot of rows, one below the other. A row has a line for its spread, and
// a bar on a linear axis, or a dot on a logarithmic one, which has no zero.
type chart struct {
	title, note string
	log         bool
	format      func(float64) string
	groups      []group
}

type group struct {
	title string // may be empty
	rows  []row
}

type row struct {
	label        string
	at, from, to float64
	ours         bool // drawn in the accent color
}

// Sizes in pixels.
const (
	chartWidth = 780
	plotLeft   = 250
	plotRight  = 680
	chartTop   = 64
	rowHeight  = 24
	titleSpace = 28
)

// style is readable on light and on dark pages. Programs that ignore it use the
// colors of the attributes, which are for light pages.
const style = `<style>
text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; font-size: 13px }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #30363d }
.ours { fill: #4493f8 } .other { fill: #848d97 } .spread { stroke: #e6edf3 }
}
</style>
`

// svg draws the chart.
func (c chart) svg() []byte {
	var out bytes.Buffer
	height := c.height()
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", chartWidth, height, chartWidth, height, escape(c.title))
	out.WriteString(style)
	fmt.Fprintf(&out, `<rect class="page" width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, height)
	text(&out, 16, 26, "title ink", "start", "#1f2328", c.title)
	text(&out, 16, 48, "faint", "start", "#59636e", c.note)
	axis := c.axis()
	for _, v := range axis.ticks {
		x := axis.x(v)
		fmt.Fprintf(&out, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#d1d9e0"/>`+"\n", x, chartTop, x, height-26)
		text(&out, x, float64(height-10), "faint", "middle", "#59636e", trailingZeros.ReplaceAllString(c.format(v), "$1"))
	}
	y := float64(chartTop)
	for _, g := range c.groups {
		if g.title != "" {
			y += titleSpace
			text(&out, 16, y-8, "group ink", "start", "#1f2328", g.title)
		}
		for _, r := range g.rows {
			c.draw(&out, axis, r, y)
			y += rowHeight
		}
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func (c chart) height() int {
	h := chartTop + 34
	for _, g := range c.groups {
		if g.title != "" {
			h += titleSpace
		}
		h += rowHeight * len(g.rows)
	}
	return h
}

// draw draws one row, from y downwards.
func (c chart) draw(out *bytes.Buffer, a axis, r row, y float64) {
	class, fill, label := "other", "#818b98", "ink"
	if r.ours {
		class, fill, label = "ours", "#0969da", "group ink"
	}
	middle := y + rowHeight/2
	text(out, 16, middle+4, label, "start", "#1f2328", r.label)
	if !c.log {
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", class, plotLeft, middle-7, a.x(r.at)-plotLeft, fill)
	}
	fmt.Fprintf(out, `<line class="spread" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#1f2328" stroke-width="1.5"/>`+"\n", a.x(r.from), middle, a.x(r.to), middle)
	if c.log {
		fmt.Fprintf(out, `<circle class="%s" cx="%.1f" cy="%.1f" r="5.5" fill="%s"/>`+"\n", class, a.x(r.at), middle, fill)
	}
	text(out, plotRight+12, middle+4, "ink", "start", "#1f2328", c.format(r.at))
}

// trailingZeros matches the zeros at the end of a fraction, which ticks leave out.
var trailingZeros = regexp.MustCompile(`(\.\d*?[1-9])0+\b|\.0+\b`)

func text(out *bytes.Buffer, x, y float64, class, anchor, fill, s string) {
	fmt.Fprintf(out, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", class, x, y, anchor, fill, escape(s))
}

func escape(s string) string {
	var out bytes.Buffer
	xml.EscapeText(&out, []byte(s)) // a Buffer takes everything
	return out.String()
}

// axis maps values to positions.
type axis struct {
	log      bool
	from, to float64
	ticks    []float64
}

// x returns the position of v.
func (a axis) x(v float64) float64 {
	from, to := a.from, a.to
	if a.log {
		from, to, v = math.Log(from), math.Log(to), math.Log(max(v, a.from))
	}
	return plotLeft + (plotRight-plotLeft)*(v-from)/(to-from)
}

// axis returns an axis with room for all rows: between powers of ten if it is
// logarithmic, and otherwise from zero to a round number.
func (c chart) axis() axis {
	least, most := math.Inf(1), 0.0
	for _, g := range c.groups {
		for _, r := range g.rows {
			least, most = min(least, r.from, r.at), max(most, r.to, r.at)
		}
	}
	if !c.log {
		return linearAxis(most)
	}
	a := axis{log: true, from: math.Pow10(int(math.Floor(math.Log10(least)))), to: math.Pow10(int(math.Ceil(math.Log10(most))))}
	for v := a.from; v < a.to*1.1; v *= 10 {
		a.ticks = append(a.ticks, v)
	}
	return a
}

// linearAxis returns an axis from zero to most or a little more, with up to five
// steps.
func linearAxis(most float64) axis {
	step := math.Pow10(int(math.Floor(math.Log10(most))))
	for _, f := range []float64{0.2, 0.5, 1, 2} {
		if most <= 5*f*step {
			step *= f
			break
		}
	}
	a := axis{to: step * math.Ceil(most/step)}
	for v := 0.0; v < a.to+step/2; v += step {
		a.ticks = append(a.ticks, v)
	}
	return a
}
