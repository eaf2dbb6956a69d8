package redis

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/conn"
)

// peer starts a server that answers each command with the next of answers, and hangs up
// after the last. It returns its address, and a channel with the words of each command.
func peer(t *testing.T, answers ...string) (addr string, commands <-chan string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	got := make(chan string, 100)
	go func() { // ends when the listener is closed
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for _, answer := range answers {
				command, err := read(in, 0)
				if err != nil {
					break
				}
				array, _ := command.([]any)
				words, _ := strs(array)
				_, err = io.WriteString(c, answer)
				got <- strings.Join(words, " ")
				if err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	return ln.Addr().String(), got
}

func TestTheClientLogsInAndConnectsAgain(t *testing.T) {
	addr, commands := peer(t, "+OK\r\n", "+OK\r\n", ":7\r\n")
	c, err := parse("redis://ada:s3cr3t@" + addr + "/3")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 2 {
		answer, err := c.eval(ctx, "return 7", []string{"k"}, []string{"a", "b c"})
		require.NoError(t, err)
		assert.EqualValues(t, 7, answer)
		assert.Equal(t, "AUTH ada s3cr3t", <-commands)
		assert.Equal(t, "SELECT 3", <-commands)
		assert.Equal(t, "EVAL return 7 1 k a b c", <-commands)
		require.Eventually(t, func() bool { return c.conn.Check() != nil }, 10*time.Second, time.Millisecond, "the server hangs up")
	}
}

// late is a context that ends like one whose deadline has passed, when the context in it
// is canceled.
type late struct{ context.Context }

func (l late) Err() error {
	if l.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

func TestTheClientFails(t *testing.T) {
	const timeout = "context deadline exceeded"
	for name, tt := range map[string]struct{ answer, want string }{
		"wrong password":        {"-WRONGPASS invalid\x1b[31m\r\n", `AUTH: the server says "WRONGPASS"`},
		"a server without AUTH": {"-ERR unknown command 'AUTH', with args beginning with: 's3cr3t'\r\n", `AUTH: the server says "ERR"`},
		"an odd code":           {"-s3cr3t x\r\n", `AUTH: the server says "an error"`},
		"another protocol":      {"SSH-2.0-OpenSSH\r\n", "not in the Redis protocol"},
		"an empty line":         {"\r\n", "not in the Redis protocol"},
		"too long":              {"$9999999999\r\n", "not in the Redis protocol"},
		"too deep":              {strings.Repeat("*1\r\n", 9), "not in the Redis protocol"},
		"a line without end":    {strings.Repeat("x", 10_000), "buffer full"},
		"silence":               {"", timeout},
		"half of an answer":     {"$10\r\nabc", timeout},
		"a number of letters":   {":x\r\n", "not in the Redis protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, commands := peer(t, tt.answer, "+OK\r\n")
			c, err := parse("redis://:s3cr3t@" + addr)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if tt.want == timeout {
				go func() { // ends when the peer has answered
					<-commands
					cancel()
				}()
			}
			_, err = c.eval(late{ctx}, "return 7", nil, nil)
			assert.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "s3cr3t")
			assert.Nil(t, c.conn)
		})
	}
}

// The rest of that array must not be taken for the next answer.
func TestAnErrorWithinAnArrayEndsTheConnection(t *testing.T) {
	addr, _ := peer(t, "*2\r\n-ERR x\r\n:1\r\n", ":2\r\n")
	c, err := parse("redis://" + addr)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = c.eval(ctx, "return 7", nil, nil)
	assert.ErrorContains(t, err, "not in the Redis protocol")
	assert.Nil(t, c.conn)
}

// done is a connection whose Writes succeed, whatever its deadline.
type done struct{ net.Conn }

func (done) Write(b []byte) (int, error) { return len(b), nil }
func (done) SetDeadline(time.Time) error { return nil }

func TestAnAnswerAtTheEndOfTheContextIsAnError(t *testing.T) {
	nc, other := net.Pipe()
	defer other.Close()
	c := &client{conn: conn.New(done{nc}), in: bufio.NewReader(strings.NewReader("+OK\r\n"))}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.call(ctx, []string{"AUTH", "s3cr3t"})
	assert.ErrorIs(t, err, context.Canceled, "the connection can't be used for the next command")
	assert.Nil(t, c.conn)
}

func TestADSNOfAServer(t *testing.T) {
	c, err := parse("rediss://host")
	require.NoError(t, err)
	assert.Equal(t, "host:6379", c.address)
	assert.Equal(t, "host", c.tls.ServerName)
	for text, want := range map[string]string{
		"redis://:s3cr3t@":           "no host",
		"redis://:s3cr3t@host/x":     "a database number",
		"redis://:s3cr3t@host?x=1":   "unknown parameter",
		"redis://:s3cr3t@host:port/": "port",
	} {
		_, err := parse(text)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
}

// FuzzRead checks that read ends with a value or an error, whatever the peer sends.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$-1\r\n", "$3\r\nabc\r\n", "*2\r\n$1\r\na\r\n:2\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := read(bufio.NewReader(strings.NewReader(text)), 0)
		if s, ok := v.(string); ok && err == nil {
			assert.Contains(t, text, s)
		}
	})
}
