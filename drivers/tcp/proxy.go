package tcp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/internal/dsn"
)

const proxyForms = "socks5://[user:password@]host:port or http://[user:password@]host:port"

// parseProxy reads the URL of a proxy. Its error shows no secret.
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
		return nil, errors.New("there is something behind the port")
	case u.User == "" && u.Password != "":
		return nil, errors.New("there is a password without a user")
	case len(u.User) > 255 || len(u.Password) > 255:
		return nil, errors.New("user and password have 255 bytes at most")
	}
	return u, nil
}

// throughProxy makes c, a connection to proxy, one to target.
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
// 9.3.6). It reads not one byte past the proxy's answer: in many protocols it
// is the server that speaks first.
func httpConnect(c net.Conn, target, user, password string) error {
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if user != "" {
		credentials := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		request += "Proxy-Authorization: Basic " + credentials + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return err
	}
	head, err := readHead(c)
	if err != nil {
		return err
	}
	status, _, _ := strings.Cut(head, "\r\n")
	version, answer, _ := strings.Cut(status, " ")
	code, _, _ := strings.Cut(answer, " ")
	n, err := strconv.Atoi(code)
	switch {
	case !strings.HasPrefix(version, "HTTP/1.") || err != nil:
		return fmt.Errorf("the proxy's answer %.40q is not HTTP", status)
	case n == 407:
		return driver.Permanent(fmt.Errorf("the proxy wants a user and password that it knows: %.80q", answer))
	case n < 200 || n > 299:
		return fmt.Errorf("the proxy refused: %.80q", answer)
	}
	return nil
}

// readHead reads up to the empty line that ends the head of an HTTP response.
func readHead(r io.Reader) (string, error) {
	const limit = 16 << 10
	var head []byte
	for next := make([]byte, 1); len(head) < limit; {
		if _, err := io.ReadFull(r, next); err != nil {
			return "", err
		}
		head = append(head, next[0])
		if bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			return string(head), nil
		}
	}
	return "", fmt.Errorf("the head of the proxy's answer is longer than %d bytes", limit)
}
