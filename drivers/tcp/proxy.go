package tcp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver/dsn"
)

const proxyForms = "socks5://[user:password@]host:port or http://[user:password@]host:port"

// parseProxy parses the URL of a proxy. Its error shows no secret.
func parseProxy(s string) (*dsn.URL, error) {
	u, err := dsn.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "socks5" && u.Scheme != "http":
		return nil, fmt.Errorf("not %s", u.Scheme)
	case u.Host == "" || u.Port == 0:
		return nil, errors.New("host or port is missing")
	case u.Path != "" && u.Path != "/" || len(u.Params) > 0:
		return nil, errors.New("want nothing after the port")
	case u.Scheme == "http" && strings.Contains(u.User, ":"):
		return nil, errors.New("the user of an HTTP proxy can't contain a colon, which ends it")
	case u.User == "" && u.Password != "":
		return nil, errors.New("there is a password without a user")
	case len(u.User) > 255 || len(u.Password) > 255:
		return nil, errors.New("user and password can have at most 255 bytes")
	}
	return u, nil
}

// throughProxy turns c, a connection to proxy, into one to target.
func throughProxy(c net.Conn, proxy *dsn.URL, target string) error {
	negotiate := socks5
	if proxy.Scheme == "http" {
		negotiate = httpConnect
	}
	err := negotiate(c, target, proxy.User, proxy.Password)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the proxy closed the connection: %w", err)
	}
	return err
}

// httpConnect asks an HTTP proxy for a tunnel to target (RFC 9110, section
// 9.3.6). It reads no byte past the proxy's answer, because in many protocols the
// server speaks first.
func httpConnect(c net.Conn, target, user, password string) error {
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	var credentials []string // in every form that an answer may repeat
	if user != "" {
		plain := user + ":" + password
		basic := base64.StdEncoding.EncodeToString([]byte(plain))
		credentials = []string{plain, password, basic}
		request += "Proxy-Authorization: Basic " + basic + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return err
	}
	head := &head{c: c}
	status, err := head.line("HTTP/1.")
	switch {
	case err == errWrongStart || err == nil && !statusLine.MatchString(status):
		return fmt.Errorf("the proxy's answer %s is not HTTP", quoteAnswer(status, credentials))
	case err != nil:
		return err
	}
	answer := status[len("HTTP/1.1 "):]
	switch {
	case strings.HasPrefix(answer, "407"):
		return refusal{fmt.Errorf("the proxy needs a valid user and password: %s", quoteAnswer(answer, credentials))}
	case answer[0] != '2':
		return fmt.Errorf("the proxy refused: %s", quoteAnswer(answer, credentials))
	}
	for line := status; line != ""; {
		if line, err = head.line(""); err != nil {
			return err
		}
	}
	return nil
}

// statusLine matches the first line of a response (RFC 9112, section 4).
var statusLine = regexp.MustCompile(`^HTTP/1\.[0-9] [1-9][0-9]{2}(?: |$)`)

// head reads the head of an HTTP response, and no byte more.
type head struct {
	c    net.Conn
	read int // bytes so far
}

const (
	maxHead = 16 << 10

	// restTime is how long to wait for more of a wrong answer, so that the error
	// shows more than its first byte.
	restTime = 100 * time.Millisecond

	// restSize is how many bytes of it to read.
	restSize = 40
)

var (
	errWrongStart = errors.New("a line with a wrong beginning")
	errTooLong    = fmt.Errorf("the head of the proxy's answer is longer than %d bytes", maxHead)
)

// line returns the next line without its end, which may be a bare line feed. It
// returns errWrongStart as soon as the line differs from prefix.
func (h *head) line(prefix string) (string, error) {
	var line []byte
	for next := make([]byte, 1); h.read < maxHead; h.read++ {
		if _, err := io.ReadFull(h.c, next); err != nil {
			return "", err
		}
		if next[0] == '\n' && len(line) >= len(prefix) {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, next[0])
		if n := min(len(line), len(prefix)); string(line[:n]) != prefix[:n] {
			return string(append(line, h.rest()...)), errWrongStart
		}
	}
	return "", errTooLong
}

// rest returns the bytes that arrive within restTime, up to restSize.
func (h *head) rest() []byte {
	_ = h.c.SetDeadline(time.Now().Add(restTime)) // the connection is unusable anyway
	rest := make([]byte, restSize)
	n, _ := io.ReadAtLeast(h.c, rest, len(rest))
	return rest[:n]
}
