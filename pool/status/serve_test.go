package status

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/pool"
)

func TestASlowReaderIsCutOffAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := New()
		defer page.Close()
		page.AddGroup("mail", slices.Values(thousand()))
		var network memnet.Network
		listener, err := network.Listen("page:80")
		require.NoError(t, err)
		server := &http.Server{Handler: page}
		go server.Serve(listener) // ends with the server
		defer server.Close()
		ask := func() net.Conn {
			c, err := network.DialContext(t.Context(), "tcp", "page:80")
			require.NoError(t, err)
			_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: page\r\n\r\n")
			require.NoError(t, err)
			return c
		}
		var slow []net.Conn
		for range 20 {
			slow = append(slow, ask())
		}
		synctest.Wait()
		quick := ask()
		defer quick.Close()
		began := time.Now()
		answer, err := http.ReadResponse(bufio.NewReader(quick), nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		assert.Equal(t, began, time.Now())
		after(writeTimeout + time.Second)
		for _, c := range slow {
			n, err := io.Copy(io.Discard, c)
			assert.Less(t, n, answer.ContentLength, "the page ends early (%v)", err)
			c.Close()
		}
	})
}

// names adds the names in value, which came from JSON, at all levels.
func names(all map[string]bool, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, value := range v {
			all[name] = true
			names(all, value)
		}
	case []any:
		for _, value := range v {
			names(all, value)
		}
	}
}

func TestTheJSONIsWhatTheDocumentSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(7, "a")
		f.holders = []pool.Holder{{Age: time.Second}}
		f.set(inTrouble)
		f.set(func(s *pool.Snapshot) { s.LastErrorAt = s.Opened })
		page := New(newFake(8, "b"))
		defer page.Close()
		page.AddGroup("mail", slices.Values([]Source{f}))
		<-time.After(freshFor) // the first refresh may have begun before AddGroup
		read := func(query string) (got map[string]any) {
			w := get(page, query)
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			return got
		}
		pools := read("?format=json")["pools"].([]any)
		require.Len(t, pools, 2)
		assert.NotContains(t, pools[1], "holders")
		assert.Equal(t, "healthy", pools[0].(map[string]any)["state"])
		one := read("?format=json&pool=a")
		require.Len(t, one["pools"], 1)
		got := one["pools"].([]any)[0].(map[string]any)
		assert.Equal(t, "mail", got["group"])
		assert.Equal(t, "down", got["state"])
		assert.EqualValues(t, 7, got["id"])
		assert.EqualValues(t, 2.1e9, got["oldest_wait_ns"])
		stats := got["stats"].(map[string]any)
		assert.EqualValues(t, 17, stats["waiting"])
		assert.EqualValues(t, 5, stats["closed"].(map[string]any)["bad"])
		assert.EqualValues(t, 95e9, got["conns"].([]any)[0].(map[string]any)["for_ns"])
		assert.Empty(t, read("?format=json&pool=nobody")["pools"])

		var decoded struct{ Pools []pool.Snapshot }
		require.NoError(t, json.Unmarshal(get(page, "?format=json&pool=a").Body.Bytes(), &decoded))
		want, err := json.Marshal(f.Snapshot())
		require.NoError(t, err)
		again, err := json.Marshal(decoded.Pools[0])
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(again))
		assert.ErrorContains(t, json.Unmarshal([]byte(`{"state": "so-so"}`), &decoded.Pools[0]), `unknown state "so-so"`)

		document, err := os.ReadFile("../../docs/observe.md")
		require.NoError(t, err)
		all := make(map[string]bool)
		names(all, one)
		assert.Greater(t, len(all), 60)
		var missing []string
		for name := range all {
			assert.Regexp(t, "^[a-z_]+$", name)
			if !strings.Contains(string(document), "`"+name+"`") {
				missing = append(missing, name)
			}
		}
		assert.Empty(t, missing, "docs/observe.md does not say what they mean")
	})
}
