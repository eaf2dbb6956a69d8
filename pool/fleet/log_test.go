package fleet_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/pool/fleet"
)

func TestTheLogHasEachChangeOfTheGrantOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var lines []string
		log := funcr.New(func(_, args string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, args)
		}, funcr.Options{Verbosity: 1})
		logged := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if assert.Len(t, lines, len(want), "%q", lines) {
				for i := range want {
					assert.Contains(t, lines[i], want[i])
					assert.Contains(t, lines[i], `"budget"="depot"`)
				}
			}
			lines = nil
		}
		w := newEmptyWorld(t, 3)
		p := w.start(fleet.Config{Logger: log})
		release := w.acquire(p, 2)
		logged(
			`"level"=0 "msg"="the store is new or has lost its state; no process gets more until it has learned who has connections"`,
			`"level"=0 "msg"="the store has learned who has connections"`)
		<-time.After(2 * ttl)
		logged() // nothing has changed
		p.link.cut.Store(true)
		<-time.After(ttl / 2)
		logged(`"msg"="the store call failed; no connections are added" "error"="the network is cut"`)
		<-time.After(ttl)
		logged(`"msg"="the grant is over: the store did not renew it in time" "error"="the network is cut"`)
		release()
		<-time.After(2 * grace)
		p.link.cut.Store(false)
		<-time.After(ttl)
		logged(`"level"=0 "msg"="the store answers again"`)
		release = w.acquire(p, 1)
		logged(`"level"=1 "msg"="granted"`)
		release()
	})
}
