package main

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/testport"
	"github.com/hotline-go/hotline/internal/testserver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/status"
)

// shownPool is a pool in the JSON of a page.
type shownPool struct{ Pool, Group string }

// shownAt reads the page at url until it has a pool, and returns that.
func shownAt(t *testing.T, url string) (first shownPool) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		answer, err := client.Get(url + "?format=json")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var page struct{ Pools []shownPool }
		if json.NewDecoder(answer.Body).Decode(&page) != nil || len(page.Pools) == 0 {
			return false
		}
		first = page.Pools[0]
		return true
	}, 5*time.Second, 10*time.Millisecond)
	return first
}

// The commands would run for longer than a busy machine needs to read the page, and are
// interrupted then.
func TestThePageIsThereWhileTheCommandRuns(t *testing.T) {
	server, dsn := serve(t, new(testserver.Ping).Serve)
	for _, tc := range []struct {
		name, args  string
		onErr       bool // the address is on standard error
		pool, group string
	}{
		{"demo", "demo --for 15s", false, "tcp 127.0.0.1:", ""},
		{"bench", "bench " + dsn + " -c 2 -d 1m --pool-only", false, "tcp " + server.Addr(), ""},
		{"bench with keys", "bench " + dsn + " -c 2 -d 1m --pool-only --keys 3", false, "", "tcp " + server.Addr()},
		{"bench with JSON", "bench " + dsn + " -c 2 -d 1m --pool-only --json", true, "tcp " + server.Addr(), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			reader, writer := io.Pipe()
			var other strings.Builder
			out, errOut := io.Writer(writer), io.Writer(&other)
			if tc.onErr {
				out, errOut = errOut, out
			}
			code := make(chan int)
			go func() { // ends with the command
				defer writer.Close()
				code <- run(ctx, append(strings.Fields(tc.args), "--listen", "127.0.0.1:0"), out, errOut)
			}()
			lines := bufio.NewReader(reader)
			first, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Regexp(t, `^page     http://127\.0\.0\.1:\d+/\n$`, first)
			go io.Copy(io.Discard, lines) // ends with the command
			url := strings.TrimSpace(first[len("page"):])
			shown := shownAt(t, url)
			assert.Contains(t, shown.Pool, tc.pool)
			assert.Equal(t, tc.group, shown.Group)
			interrupt()
			assert.Equal(t, exitFailed, <-code)
			if tc.onErr {
				assert.True(t, json.Valid([]byte(other.String())))
			} else {
				assert.Equal(t, "hotline: interrupted\n", other.String())
			}
			_, err = net.Dial("tcp", regexp.MustCompile(`[\d.]+:\d+`).FindString(url))
			assert.Error(t, err, "the page is still there")
		})
	}
}

func TestThePageEndsWithTheCommand(t *testing.T) {
	_, dsn := serve(t, new(testserver.Ping).Serve)
	r := hotline(t.Context(), "bench", dsn, "-c", "2", "-d", "10ms", "--pool-only", "--listen", "127.0.0.1:0")
	r.wantSuccess(t)
	_, err := net.Dial("tcp", regexp.MustCompile(`page     http://([\d.]+:\d+)`).FindStringSubmatch(r.out)[1])
	assert.Error(t, err)
}

func TestAPageThatCannotBeServedIsAnError(t *testing.T) {
	server, dsn := serve(t, new(testserver.Ping).Serve)
	for _, command := range []string{"demo", "bench " + dsn} {
		args := strings.Fields(command)
		hotline(t.Context(), append(args, "--listen", server.Addr())...).wantFailure(t, exitFailed, "--listen: listen tcp "+server.Addr()+": ")
		r := hotline(t.Context(), append(args, "--listen", "imaps://ada:s3cret@127.0.0.1:993")...)
		r.wantFailure(t, exitUsage, args[0]+": --listen: want host:port, as in 127.0.0.1:2485; see hotline "+args[0]+" --help")
		assert.NotContains(t, r.err+r.out, "s3cret")
	}
}

func TestThePageShowsNoSecretOfADSN(t *testing.T) {
	mail, _ := serve(t, testserver.NewIMAP("ada", "right").Serve)
	page := status.New()
	defer page.Close()
	dsns := []string{
		"imaps://ada:s3cret@" + testport.Refused(t) + "/INBOX",
		"imap://ada:s3cret@" + mail.Addr() + "?tls=none&pool_name=wrong",
		"tcp://127.0.0.1:1?proxy=socks5://ada:s3cret@" + testport.Refused(t),
	}
	for _, dsn := range dsns {
		scheme, _, _ := strings.Cut(dsn, ":")
		p, err := pool.Open[driver.Conn](scheme, dsn, pool.Config{MinIdle: 1, LeakAfter: time.Second})
		require.NoError(t, err)
		defer p.Close()
		page.Add(p)
	}
	read := func(query string) string {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest("GET", "/"+query, nil))
		return w.Body.String()
	}
	require.Eventually(t, func() bool {
		return strings.Count(read(""), `<td class="short"><span class="badge down">`) == len(dsns)
	}, 10*time.Second, 50*time.Millisecond)
	all := read("") + read("?format=json")
	for _, query := range regexp.MustCompile(`href="(\?pool=[^"]+)"`).FindAllStringSubmatch(all, -1) {
		one := read(html.UnescapeString(query[1]))
		assert.Contains(t, one, "connecting fails")
		all += one + read(html.UnescapeString(query[1])+"&format=json")
	}
	assert.NotContains(t, all, "s3cret")
}
