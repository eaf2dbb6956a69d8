package tcp_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/tcp"
	"github.com/hotline-go/hotline/internal/memnet"
	"github.com/hotline-go/hotline/internal/testport"
)

// greet is a server that speaks first, in one packet with the proxy's answer.
func greet(c net.Conn) {
	_, _ = io.WriteString(c, "* OK ready\n")
	echo(c)
}

// wantGreeting checks that c leads to greet, from the first byte on.
func wantGreeting(t *testing.T, c net.Conn) {
	t.Helper()
	greeting := make([]byte, len("* OK ready\n"))
	_, err := io.ReadFull(c, greeting)
	require.NoError(t, err)
	require.Equal(t, "* OK ready\n", string(greeting))
	wantEcho(t, c)
}

// tunnel joins client to the server at target. It sends first to the client before
// the server's bytes.
func tunnel(client net.Conn, first []byte, target string) error {
	server, err := net.Dial("tcp", target)
	if err != nil {
		return err
	}
	defer server.Close()
	greeting := make([]byte, 512)
	n, err := server.Read(greeting)
	if err != nil {
		return err
	}
	if _, err := client.Write(append(first, greeting[:n]...)); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(server, client); server.Close() })
	_, _ = io.Copy(client, server)
	client.Close()
	wg.Wait()
	return nil
}

// httpProxy serves CONNECT with net/http, only for the user "me" if password is
// set.
func httpProxy(t *testing.T, password string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var tunnels sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
		user, pass, _ := r.BasicAuth()
		switch {
		case r.Method != http.MethodConnect || r.Host != r.RequestURI:
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		case password != "" && (user != "me" || pass != password):
			w.WriteHeader(http.StatusProxyAuthRequired)
		case strings.HasPrefix(r.Host, "forbidden"):
			w.WriteHeader(http.StatusForbidden)
		default:
			client, _, err := w.(http.Hijacker).Hijack()
			if assert.NoError(t, err) {
				tunnels.Add(1)
				defer tunnels.Done()
				defer client.Close()
				_ = tunnel(client, []byte("HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n"), r.Host)
			}
		}
	})}
	tunnels.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Close(); tunnels.Wait() })
	return l.Addr().String()
}

// socksProxy serves SOCKS5 (RFC 1928), only for the user "me" if password is set.
// It resolves one name, "server.test", to named.
func socksProxy(t *testing.T, password, named string) (address string) {
	return serve(t, "tcp", func(c net.Conn) {
		method := byte(0)
		if password != "" {
			method = 2
		}
		methods := readBytes(c, int(readBytes(c, 2)[1]))
		if !bytes.Contains(methods, []byte{method}) {
			_, _ = c.Write([]byte{5, 0xff})
			return
		}
		_, _ = c.Write([]byte{5, method})
		if method == 2 {
			user := readBytes(c, int(readBytes(c, 2)[1]))
			pass := readBytes(c, int(readBytes(c, 1)[0]))
			if string(user) != "me" || string(pass) != password {
				_, _ = c.Write([]byte{1, 1})
				return
			}
			_, _ = c.Write([]byte{1, 0})
		}
		request := readBytes(c, 4) // 5, CONNECT, 0, type of address
		var host string
		bound := []byte{5, 0, 0, 1, 10, 0, 0, 1, 0, 80}
		switch request[3] {
		case 1:
			host = net.IP(readBytes(c, 4)).String()
		case 3:
			host = string(readBytes(c, int(readBytes(c, 1)[0])))
			bound = append([]byte{5, 0, 0, 3, 3}, "me!\x00\x50"...)
		case 4:
			host = net.IP(readBytes(c, 16)).String()
			bound = append([]byte{5, 0, 0, 4}, make([]byte, 18)...)
		}
		target := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(readBytes(c, 2)))))
		switch host {
		case "server.test":
			target = named
		case "forbidden":
			_, _ = c.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		if tunnel(c, bound, target) != nil {
			_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		}
	})
}

// readBytes reads n bytes; bytes that don't come are zero.
func readBytes(r io.Reader, n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(r, b)
	return b
}

func TestConnectThroughAProxy(t *testing.T) {
	const password = "p:/@%\x00\xff"
	server := serve(t, "tcp", greet)
	for _, tc := range []struct{ name, proxy, address string }{
		{"http", "http://" + httpProxy(t, ""), server},
		{"http with an unneeded password", "http://u:p@" + httpProxy(t, ""), server},
		{"http with a password", "http://me:p%3A%2F%40%25%00%FF@" + httpProxy(t, password), server},
		{"socks5", "socks5://" + socksProxy(t, "", ""), server},
		{"socks5 with an unneeded password", "socks5://u:p@" + socksProxy(t, "", ""), server},
		{"socks5 with a password", "socks5://me:p%3A%2F%40%25%00%FF@" + socksProxy(t, password, ""), server},
		{"socks5 resolves the name", "socks5://" + socksProxy(t, "", server), "server.test:25"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := connect(t, tcp.Config{Address: tc.address, Proxy: tc.proxy})
			require.NoError(t, err)
			wantGreeting(t, c)
			assert.IsType(t, &net.TCPConn{}, c.NetConn(), "a probe must reach the socket")
		})
	}
}

func TestConnectThroughAProxyOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this system has no IPv6")
	}
	server := serveOn(t, l, greet)
	for _, proxy := range []string{"http://" + httpProxy(t, ""), "socks5://" + socksProxy(t, "", "")} {
		c, err := connect(t, tcp.Config{Address: server, Proxy: proxy})
		require.NoError(t, err)
		wantGreeting(t, c)
	}
}

func TestAProxysRefusalIsAClearError(t *testing.T) {
	closed := testport.Refused(t)
	httpAddr, httpAuth := httpProxy(t, ""), httpProxy(t, "secret")
	socksAddr, socksAuth := socksProxy(t, "", ""), socksProxy(t, "secret", "")
	for _, tc := range []struct {
		name, proxy, address, want string
		permanent                  bool
	}{
		{"http forbids", "http://" + httpAddr, "forbidden:1",
			`forbidden:1 through http proxy ` + httpAddr + `: the proxy refused: "403 Forbidden"`, false},
		{"http wants a password", "http://" + httpAuth, "h:1",
			`the proxy needs a valid user and password: "407 Proxy Authentication Required"`, true},
		{"http wants another password", "http://me:hunter2@" + httpAuth, "h:1",
			`the proxy needs a valid user and password: "407 Proxy Authentication Required"`, true},
		{"socks5 forbids", "socks5://" + socksAddr, "forbidden:1",
			`forbidden:1 through socks5 proxy ` + socksAddr + `: the proxy could not connect: not allowed by its rules`, false},
		{"socks5 can't connect", "socks5://" + socksAddr, closed, `the proxy could not connect: connection refused`, false},
		{"socks5 wants a password", "socks5://" + socksAuth, "h:1",
			`the proxy wants a login method other than those offered (no login)`, true},
		{"socks5 wants another password", "socks5://me:hunter2@" + socksAuth, "h:1", `the proxy refused the user or the password`, true},
		{"a dead proxy", "http://" + closed, "h:1", `h:1 through http proxy ` + closed + `: dial tcp ` + closed, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := connect(t, tcp.Config{Address: tc.address, Proxy: tc.proxy})
			require.ErrorContains(t, err, tc.want)
			assert.True(t, strings.HasPrefix(err.Error(), "tcp: connect to "+tc.address+" through "), err)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, tc.permanent, driver.IsPermanent(err))
		})
	}
}

// script is a proxy that has already sent all its bytes, and counts the ones read.
type script struct {
	net.Conn
	*bytes.Reader
	closed bool // a Write fails
}

func (s *script) Read(b []byte) (int, error) { return s.Reader.Read(b) }
func (s *script) Write(b []byte) (int, error) {
	if s.closed {
		return 0, errors.New("write failed")
	}
	return len(b), nil
}
func (s *script) SetDeadline(time.Time) error { return nil }

func TestAnswersOfAProxy(t *testing.T) {
	socks := func(s string) string { return "\x05\x00" + s }
	for _, tc := range []struct{ name, proxy, says, want string }{
		{"http 200", "http://proxy:1", "HTTP/1.1 200 OK\r\n\r\n", ""},
		{"http 204 and no reason", "http://proxy:1", "HTTP/1.0 204\r\nA: b\r\n\r\n", ""},
		{"http 199", "http://proxy:1", "HTTP/1.1 199 x\r\n\r\n", `the proxy refused: "199 x"`},
		{"http 300", "http://proxy:1", "HTTP/1.1 300 x\r\n\r\n", `the proxy refused: "300 x"`},
		{"http with bare line feeds", "http://proxy:1", "HTTP/1.1 200 OK\nA: b\n\n", ""},
		{"http with a space and no reason", "http://proxy:1", "HTTP/1.1 200 \r\n\r\n", ""},
		{"not http", "http://proxy:1", "SSH-2.0-OpenSSH_9.6\r\n\r\n", `the proxy's answer "SSH-2.0-OpenSSH_9.6\r\n\r\n" is not HTTP`},
		{"not http, and no line", "http://proxy:1", strings.Repeat("x", 20<<10), `the proxy's answer "` + strings.Repeat("x", 41) + `" is not HTTP`},
		{"an empty line", "http://proxy:1", "\r\n", `the proxy's answer "\r\n" is not HTTP`},
		{"http 2", "http://proxy:1", "HTTP/2 200\r\n\r\n", `the proxy's answer "HTTP/2 200\r\n\r\n" is not HTTP`},
		{"a signed status", "http://proxy:1", "HTTP/1.1 +200 OK\r\n\r\n", `the proxy's answer "HTTP/1.1 +200 OK" is not HTTP`},
		{"a status of four digits", "http://proxy:1", "HTTP/1.1 2000 OK\r\n\r\n", `the proxy's answer "HTTP/1.1 2000 OK" is not HTTP`},
		{"a status of two digits", "http://proxy:1", "HTTP/1.1 20 OK\r\n\r\n", `the proxy's answer "HTTP/1.1 20 OK" is not HTTP`},
		{"a refusal without an end", "http://proxy:1", "HTTP/1.1 503 busy\r\n", `the proxy refused: "503 busy"`},
		{"a refusal in color", "http://proxy:1", "HTTP/1.1 503 \x1b[31m" + strings.Repeat("x", 1000) + "\r\n", `the proxy refused: "503 \x1b[31m` + strings.Repeat("x", 191) + `"... (1009 bytes)`},
		{"http without a status", "http://proxy:1", "HTTP/1.1 OK\r\n\r\n", `the proxy's answer "HTTP/1.1 OK" is not HTTP`},
		{"http that ends", "http://proxy:1", "HTTP/1.1 200 OK\r\n", "the proxy closed the connection: EOF"},
		{"http that never ends", "http://proxy:1", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20<<10), "the head of the proxy's answer is longer than 16384 bytes"},
		{"socks5", "socks5://proxy:1", socks("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"), ""},
		{"not socks5", "socks5://proxy:1", "HTTP/1.1 400", `the proxy's answer "HT" is not SOCKS5`},
		{"a login of another version", "socks5://me:pw@proxy:1", "\x05\x02\x05\x00", `the proxy's answer "\x05\x00" is not SOCKS5`},
		{"an answer of another version", "socks5://proxy:1", socks("\x04\x00\x00\x01\x00"), `the proxy's answer "\x04\x00\x00\x01\x00" is not SOCKS5`},
		{"a method that nobody offered", "socks5://proxy:1", "\x05\x02", "the proxy wants a login method other than"},
		{"an unknown reason", "socks5://proxy:1", socks("\x05\x63\x00\x01\x00"), "the proxy could not connect: reason 99"},
		{"an unknown type of address", "socks5://proxy:1", socks("\x05\x00\x00\x02\x00"), "the proxy answered with an unknown type of address (2)"},
		{"socks5 that ends", "socks5://proxy:1", "", "the proxy closed the connection: EOF"},
		{"socks5 that ends before the request", "socks5://proxy:1", socks(""), "the proxy closed the connection: EOF"},
		{"socks5 that ends at the login", "socks5://me:pw@proxy:1", "\x05\x02", "the proxy closed the connection: EOF"},
		{"socks5 that ends within its answer", "socks5://proxy:1", socks("\x05\x00\x00\x01\x00\x00"), "the proxy closed the connection: EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &script{Reader: bytes.NewReader([]byte(tc.says))}
			err := tcp.ThroughProxy(c, tc.proxy, "h:1")
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			c = &script{Reader: bytes.NewReader([]byte(tc.says)), closed: true}
			require.EqualError(t, tcp.ThroughProxy(c, tc.proxy, "h:1"), "write failed")
		})
	}
}

func TestAnErrorDoesNotRepeatTheCredentialsThatAProxyRepeats(t *testing.T) {
	const proxy = "http://me:hunter2@proxy:1"
	const hidden = "(not shown, because it repeats what was sent)"
	basic := base64.StdEncoding.EncodeToString([]byte("me:hunter2"))
	for _, tc := range []struct{ name, says, want string }{
		{"a refusal with the password", "HTTP/1.1 403 no hunter2 here\r\n", "the proxy refused: " + hidden},
		{"in capital letters", "HTTP/1.1 403 no HUNTER2 here\r\n", "the proxy refused: " + hidden},
		{"a part of it", "HTTP/1.1 403 no hunt here\r\n", "the proxy refused: " + hidden},
		{"as it was sent", "HTTP/1.1 407 bad " + basic + "\r\n", "the proxy needs a valid user and password: " + hidden},
		{"another protocol", "-ERR unknown 'Basic " + basic[:12] + "'\r\n", "the proxy's answer " + hidden + " is not HTTP"},
		{"harmless words", "HTTP/1.1 403 no hun here\r\n", `the proxy refused: "403 no hun here"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &script{Reader: bytes.NewReader([]byte(tc.says))}
			assert.EqualError(t, tcp.ThroughProxy(c, proxy, "h:1"), tc.want)
		})
	}
}

// A server that is not a proxy sends something else, and then waits.
func TestAnAnswerThatIsNotHTTPIsNotWaitedFor(t *testing.T) {
	for says, want := range map[string]string{
		"220 mail.test ESMTP\r\n":   `the proxy's answer "220 mail.test ESMTP\r\n" is not HTTP`,
		"HTTP/1.1 OK\r\n":           `the proxy's answer "HTTP/1.1 OK" is not HTTP`,
		"HTTP/1.1 503 starting\r\n": `the proxy refused: "503 starting"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			var nw memnet.Network
			l, err := nw.Listen("proxy:2")
			require.NoError(t, err)
			serveOn(t, l, func(c net.Conn) {
				_, _ = io.WriteString(c, says)
				_, _ = io.Copy(io.Discard, c)
			})
			start := time.Now()
			_, err = connect(t, tcp.Config{Address: "h:1", Proxy: "http://proxy:2", Dial: nw.DialContext})
			assert.ErrorContains(t, err, want)
			assert.LessOrEqual(t, time.Since(start), 100*time.Millisecond)
			assert.False(t, driver.IsPermanent(err))
		})
	}
}

// A proxy that has lost its user database refuses everyone.
func TestAProxysRefusalAfterASuccessIsPermanentOnlyIfItLasts(t *testing.T) {
	for name, no := range map[string]string{"http": "HTTP/1.1 407 no\r\n\r\n", "socks5": "\x05\xff"} {
		synctest.Test(t, func(t *testing.T) {
			yes := map[string]string{"http": "HTTP/1.1 200 OK\r\n\r\n", "socks5": "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"}[name]
			var nw memnet.Network
			l, err := nw.Listen("proxy:2")
			require.NoError(t, err)
			var says atomic.Value
			serveOn(t, l, func(c net.Conn) {
				_, _ = io.WriteString(c, says.Load().(string))
				_, _ = io.Copy(io.Discard, c)
			})
			connector, err := tcp.NewConnector(tcp.Config{Address: "h:1", Proxy: name + "://me:pw@proxy:2", Dial: nw.DialContext})
			require.NoError(t, err)
			wants := func(answer string, permanent, throttled bool) {
				says.Store(answer)
				_, err := connectTo(t, connector)
				assert.Equal(t, answer == yes, err == nil, err)
				assert.Equal(t, permanent, driver.IsPermanent(err), err)
				pause, ok := driver.RetryAfter(err)
				assert.Equal(t, throttled, ok && pause == 10*time.Second, err)
			}
			wants(no, true, false) // the credentials have never worked
			wants(yes, false, false)
			wants(no, false, true)
			wants(no, false, true)
			<-time.After(10 * time.Second)
			wants(no, true, false)
			wants(yes, false, false)
			wants(no, false, true)
		})
	}
}

// Bytes that the server sends first must be left for the protocol.
func FuzzAProxysAnswerIsReadToItsEndAndNoFurther(f *testing.F) {
	credentials := base64.StdEncoding.EncodeToString([]byte("me:hunter2"))
	f.Add(true, []byte("HTTP/1.1 200 OK\r\n\r\n* OK"))
	f.Add(true, []byte("HTTP/1.0 200 OK\nA: b\n\n* OK"))
	f.Add(true, []byte("HTTP/1.1 403 me:hunter2\r\n\r\n"))
	f.Add(true, []byte("CONNECT h:1 HTTP/1.1\r\nProxy-Authorization: Basic "+credentials))
	f.Add(false, []byte("\x05\x02\x01\x00\x05\x00\x00\x03\x02ab\x00\x00* OK"))
	f.Add(false, []byte("\x05\x00\x05\x00\x00\x04aaaabbbbccccdddd\x00\x00"))
	f.Fuzz(func(t *testing.T, isHTTP bool, says []byte) {
		proxy := map[bool]string{true: "http", false: "socks5"}[isHTTP]
		c := &script{Reader: bytes.NewReader(says)}
		err := tcp.ThroughProxy(c, proxy+"://me:hunter2@proxy:1", "h:1")
		used := says[:len(says)-c.Len()]
		if err != nil {
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), credentials)
			require.Less(t, len(err.Error()), 2000)
			require.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl), err.Error())
			return
		}
		if isHTTP {
			lines := strings.Split(string(used), "\n")
			require.Equal(t, len(lines)-2, slices.IndexFunc(lines, func(s string) bool { return strings.TrimSuffix(s, "\r") == "" }), "the first empty line ends it")
			require.Empty(t, lines[len(lines)-1])
			response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(used)), nil)
			if err == nil { // net/http is stricter about headers
				response.Body.Close()
				require.Equal(t, 2, response.StatusCode/100)
			}
			return
		}
		answer := used[2:]
		if used[1] == 2 {
			answer = used[4:]
		}
		length := map[byte]int{1: 10, 3: 7 + int(answer[4]), 4: 22}[answer[3]]
		require.Len(t, answer, length, fmt.Sprintf("%q", used))
	})
}
