package memcached

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
)

// Client is a connection for the part of the text protocol that this example needs.
// One goroutine may use it at a time.
type Client struct {
	nc          net.Conn
	in          *bufio.Reader
	outstanding int // answers not yet read to the end
}

// Refusal is an answer of the server that begins with ERROR, CLIENT_ERROR or
// SERVER_ERROR. The connection stays good.
type Refusal string

func (r Refusal) Error() string { return fmt.Sprintf("memcached: %.100q", string(r)) }

// Send sends a command, which ends with a line feed.
func (c *Client) Send(format string, args ...any) error {
	c.outstanding++
	_, err := fmt.Fprintf(c.nc, format, args...)
	return err
}

// Receive reads a line of an answer. last reports whether a line ends the answer.
func (c *Client) Receive(last func(line string) bool) (line string, err error) {
	if line, err = c.in.ReadString('\n'); err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	word, _, _ := strings.Cut(line, " ")
	refused := strings.HasSuffix(word, "ERROR")
	if refused || last(line) {
		c.outstanding--
	}
	if refused {
		return "", Refusal(line)
	}
	return line, nil
}

// Version returns the version of the server.
func (c *Client) Version() (string, error) {
	if err := c.Send("version\r\n"); err != nil {
		return "", err
	}
	line, err := c.Receive(func(string) bool { return true })
	if err == nil && !strings.HasPrefix(line, "VERSION ") {
		return "", fmt.Errorf("memcached: %.100q is not a version", line)
	}
	return strings.TrimPrefix(line, "VERSION "), err
}

// Set stores a value.
func (c *Client) Set(key, value string) error {
	if err := c.Send("set %s 0 0 %d\r\n%s\r\n", key, len(value), value); err != nil {
		return err
	}
	line, err := c.Receive(func(string) bool { return true })
	if err == nil && line != "STORED" {
		err = Refusal(line)
	}
	return err
}

// Get returns a value. It reports false if the server has none.
func (c *Client) Get(key string) (value string, ok bool, err error) {
	if err := c.Send("get %s\r\n", key); err != nil {
		return "", false, err
	}
	return c.ReceiveValue(key)
}

// ReceiveValue reads the answer to a get.
func (c *Client) ReceiveValue(key string) (value string, ok bool, err error) {
	for {
		line, err := c.Receive(func(line string) bool { return line == "END" })
		if err != nil || line == "END" {
			return value, ok, err
		}
		var got string
		var flags, n int
		if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &got, &flags, &n); err != nil || got != key {
			return "", false, fmt.Errorf("memcached: %.100q is not the value of %.100q", line, key)
		}
		data := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(c.in, data); err != nil {
			return "", false, err
		}
		value, ok = string(data[:n]), true
	}
}
