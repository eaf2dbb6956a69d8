package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/pool"
)

// hollow is an error of which a nil pointer panics when it is asked anything,
// the usual accident of a function that returns its *hollow as an error.
type hollow struct{ cause error }

func (e *hollow) Error() string { return e.cause.Error() }
func (e *hollow) Unwrap() error { return e.cause }

// mute panics in Error alone.
type mute struct{ text *string }

func (e *mute) Error() string { return *e.text }

// Whoever returns an error whose methods panic: the process goes on, and the
// slot is not lost.
func TestErrorWhoseMethodsPanicCostsItsConnectionAlone(t *testing.T) {
	for name, accident := range map[string]error{"Error and Unwrap": (*hollow)(nil), "Error": (*mute)(nil)} {
		for _, from := range []string{"Connect", "OnConnect", "OnAcquire", "OnRelease", "ResetSession", "Ping", "Close", "Discard"} {
			bubble(t, name+", from "+from, func(t *testing.T) {
				var log logLines
				once := func(place string) (err error) {
					if place == from {
						from, err = "", accident
					}
					return err
				}
				f, p := openFake(t, pool.Config{
					MaxOpen: 1, ValidateAfter: 1, Logger: log.logger(9),
					OnConnect: func(context.Context, driver.Conn) error { return once("OnConnect") },
					OnAcquire: func(context.Context, driver.Conn) error { return once("OnAcquire") },
					OnRelease: func(driver.Conn) error { return once("OnRelease") },
				})
				for _, op := range []drivertest.Op{drivertest.Connect, drivertest.ResetSession, drivertest.Ping, drivertest.Close} {
					f.Always(op, func(context.Context, *conn) error { return once(op.String()) })
				}
				for range 3 { // Connect, Ping, ResetSession
					apart(func() {
						if l, err := p.Acquire(t.Context()); err == nil {
							l.Release()
						}
					})
					advance(time.Minute) // through the backoff
				}
				apart(func() { acquire(t, p).Discard(once("Discard")) })
				synctest.Wait()
				assert.Empty(t, from, "it was returned")
				for range 2 {
					acquire(t, p).Release()
				}
				assert.Equal(t, 1, p.Stats().Open)
				assert.Equal(t, 1, f.Counts().Open)
			})
		}
	}
}

// wrongUnbind is a connection whose unbind panics.
type wrongUnbind struct{ *drivertest.FakeConn }

func (wrongUnbind) Bind(context.Context) func() { return func() { panic("unbind") } }

func TestUnbindThatPanicsLosesNoSlot(t *testing.T) {
	for name, fn := range map[string]func(context.Context, driver.Conn) error{
		"after fn":             func(context.Context, driver.Conn) error { return nil },
		"after fn, as it does": func(context.Context, driver.Conn) error { panic("fn") },
	} {
		bubble(t, name, func(t *testing.T) {
			f := drivertest.NewFake(t)
			f.Wrap = func(c *drivertest.FakeConn) driver.Conn { return wrongUnbind{c} }
			p := open[driver.Conn](t, f, pool.Config{MaxOpen: 1})
			for range 2 {
				assert.Equal(t, "unbind", apart(func() { p.Do(t.Context(), fn) }))
				synctest.Wait()
				assert.Zero(t, p.Stats().Open)
			}
		})
	}
}
