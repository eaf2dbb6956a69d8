package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotline-go/hotline/conn"
	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/dsn"
)

// client is a Redis client with one connection, for stores that a DSN names. It connects
// when needed.
type client struct {
	address string
	tls     *tls.Config // nil = none
	hello   [][]string  // commands after each connect; they have the password, so a client must not be printed

	free chan struct{} // holds one element while no goroutine uses the fields below
	conn *conn.Conn    // nil = not connected
	in   *bufio.Reader
}

// parse returns the client for a DSN without its budget.
func parse(text string) (*client, error) {
	u, err := dsn.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, errEmpty
	}
	if err := new(dsn.Params).Apply(u.Params); err != nil {
		return nil, err
	}
	c := &client{address: u.Address(6379), free: make(chan struct{}, 1)}
	c.free <- struct{}{}
	if u.Scheme == "rediss" {
		c.tls = &tls.Config{ServerName: u.Host}
	}
	switch {
	case u.User != "":
		c.hello = append(c.hello, []string{"AUTH", u.User, u.Password})
	case u.Password != "":
		c.hello = append(c.hello, []string{"AUTH", u.Password})
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if !isNumber(db) {
			return nil, errors.New("the path before the budget: want nothing, or a database number")
		}
		c.hello = append(c.hello, []string{"SELECT", db})
	}
	return c, nil
}

// eval is an Eval. An I/O error closes the connection, and the next call connects again.
func (c *client) eval(ctx context.Context, script string, keys, args []string) (any, error) {
	select {
	case <-c.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { c.free <- struct{}{} }()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c.call(ctx, append(append([]string{"EVAL", script, strconv.Itoa(len(keys))}, keys...), args...))
}

// connect connects and logs in, unless there is a connection. Redis or a firewall may have
// closed that while it was idle.
func (c *client) connect(ctx context.Context) error {
	if c.conn != nil && c.conn.Check() == nil {
		return nil
	}
	c.hangUp()
	dial := (&net.Dialer{}).DialContext
	if c.tls != nil {
		dial = (&tls.Dialer{Config: c.tls}).DialContext
	}
	nc, err := dial(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	c.conn = conn.New(nc)
	c.in = bufio.NewReader(c.conn)
	for _, command := range c.hello {
		if _, err := c.call(ctx, command); err != nil {
			c.hangUp()
			return fmt.Errorf("%s: %w", command[0], withoutArguments(err, command))
		}
	}
	return nil
}

// withoutArguments reduces the server's error to its code, such as WRONGPASS: the rest
// may repeat the command, and so the password.
func withoutArguments(err error, command []string) error {
	var said serverError
	if !errors.As(err, &said) {
		return err
	}
	code, _, _ := strings.Cut(string(said), " ")
	if slices.Contains(command, code) || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		code = "an error"
	}
	return serverError(code)
}

// Close waits for a call in progress, and closes the connection if there is one. A later
// call connects again.
func (c *client) Close() error {
	<-c.free
	c.hangUp()
	c.free <- struct{}{}
	return nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// call sends a command and returns the answer. An error closes the connection, unless the
// server answered with that error.
func (c *client) call(ctx context.Context, command []string) (answer any, err error) {
	used := c.conn
	stop := context.AfterFunc(ctx, func() { _ = used.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() { // the deadline may be set at any time
			c.hangUp()
			answer, err = nil, ctx.Err()
		}
	}()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err = io.WriteString(used, b.String()); err == nil {
		answer, err = read(c.in, 0)
	}
	var said serverError
	if err != nil && !errors.As(err, &said) {
		c.hangUp()
	}
	return answer, err
}

// serverError is an error that the server answered with.
type serverError string

func (e serverError) Error() string { return "the server says " + driver.Quote(string(e)) }

// The limits of an answer.
const (
	maxBytes = 1 << 20 // of a string
	maxWords = 1 << 20 // of an array
	maxDepth = 4       // of arrays in arrays
)

// errForm is the error for an answer that can't be parsed.
var errForm = errors.New("the answer is not in the Redis protocol")

// read reads one value: a string, an int64, nil or a []any of these.
func read(in *bufio.Reader, depth int) (any, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	text := strings.TrimSuffix(string(line), "\r\n")
	if text == "" || depth > maxDepth {
		return nil, errForm
	}
	kind, text := text[0], text[1:]
	switch kind {
	case '+':
		return text, nil
	case '-':
		if depth > 0 { // the rest of the array would be taken for the next answer
			return nil, errForm
		}
		return nil, serverError(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return nil, errForm
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$' && n <= maxBytes:
		b := make([]byte, n+2)
		_, err := io.ReadFull(in, b)
		return string(b[:n]), err
	case kind == '*' && n <= maxWords:
		var array []any
		for range n {
			v, err := read(in, depth+1)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		return array, nil
	}
	return nil, errForm
}
