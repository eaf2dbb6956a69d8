package adapt

import (
	"context"

	"github.com/hotline-go/hotline/driver"
)

// The optional interfaces of the contract, one type each.
type (
	pings[C any]   struct{ a *adapted[C] }
	resets[C any]  struct{ a *adapted[C] }
	isValid[C any] struct{ a *adapted[C] }
	binds[C any]   struct{ a *adapted[C] }
	counts[C any]  struct{ a *adapted[C] }
)

func (p pings[C]) Ping(ctx context.Context) error          { return p.a.ping(ctx) }
func (r resets[C]) ResetSession(ctx context.Context) error { return r.a.reset(ctx) }
func (v isValid[C]) IsValid() bool                         { return v.a.valid() }
func (b binds[C]) Bind(ctx context.Context) func()         { return b.a.bind(ctx) }
func (n counts[C]) Sent() int64                            { return n.a.under.Sent() }
func (n counts[C]) Received() int64                        { return n.a.under.Received() }

// withInterfaces returns a with exactly the interfaces that it supports. A type
// assertion must not find a Ping that does nothing, so each combination is a type of
// its own.
func (a *adapted[C]) withInterfaces() driver.Conn {
	under := a.under != nil
	can := [...]bool{a.how.Ping != nil, under || a.how.Reset != nil, under || a.how.Valid != nil, under || a.how.Bind != nil, under}
	p, r, v, b := pings[C]{a}, resets[C]{a}, isValid[C]{a}, binds[C]{a}
	switch can {
	case [...]bool{true, true, true, true, true}:
		return struct {
			*adapted[C]
			pings[C]
			resets[C]
			isValid[C]
			binds[C]
			counts[C]
		}{a, p, r, v, b, counts[C]{a}}
	case [...]bool{false, true, true, true, true}:
		return struct {
			*adapted[C]
			resets[C]
			isValid[C]
			binds[C]
			counts[C]
		}{a, r, v, b, counts[C]{a}}
	case [...]bool{true, true, true, true, false}:
		return struct {
			*adapted[C]
			pings[C]
			resets[C]
			isValid[C]
			binds[C]
		}{a, p, r, v, b}
	case [...]bool{true, true, true, false, false}:
		return struct {
			*adapted[C]
			pings[C]
			resets[C]
			isValid[C]
		}{a, p, r, v}
	case [...]bool{true, true, false, true, false}:
		return struct {
			*adapted[C]
			pings[C]
			resets[C]
			binds[C]
		}{a, p, r, b}
	case [...]bool{true, true, false, false, false}:
		return struct {
			*adapted[C]
			pings[C]
			resets[C]
		}{a, p, r}
	case [...]bool{true, false, true, true, false}:
		return struct {
			*adapted[C]
			pings[C]
			isValid[C]
			binds[C]
		}{a, p, v, b}
	case [...]bool{true, false, true, false, false}:
		return struct {
			*adapted[C]
			pings[C]
			isValid[C]
		}{a, p, v}
	case [...]bool{true, false, false, true, false}:
		return struct {
			*adapted[C]
			pings[C]
			binds[C]
		}{a, p, b}
	case [...]bool{true, false, false, false, false}:
		return struct {
			*adapted[C]
			pings[C]
		}{a, p}
	case [...]bool{false, true, true, true, false}:
		return struct {
			*adapted[C]
			resets[C]
			isValid[C]
			binds[C]
		}{a, r, v, b}
	case [...]bool{false, true, true, false, false}:
		return struct {
			*adapted[C]
			resets[C]
			isValid[C]
		}{a, r, v}
	case [...]bool{false, true, false, true, false}:
		return struct {
			*adapted[C]
			resets[C]
			binds[C]
		}{a, r, b}
	case [...]bool{false, true, false, false, false}:
		return struct {
			*adapted[C]
			resets[C]
		}{a, r}
	case [...]bool{false, false, true, true, false}:
		return struct {
			*adapted[C]
			isValid[C]
			binds[C]
		}{a, v, b}
	case [...]bool{false, false, true, false, false}:
		return struct {
			*adapted[C]
			isValid[C]
		}{a, v}
	case [...]bool{false, false, false, true, false}:
		return struct {
			*adapted[C]
			binds[C]
		}{a, b}
	}
	return a
}
