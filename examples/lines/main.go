// Program lines has a driver for a line-based protocol in the same file, as you would
// write it for a server of your own. It speaks a part of the text protocol of memcached.
// It counts the words of its input there, and prints each word with its count so far:
//
//	echo to be or not to be | DSN=counter://127.0.0.1:11211 go run ./lines
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/pool"
)

func init() {
	adapt.Register("counter", func(u *dsn.URL) (adapt.Client[*counter], error) {
		return adapt.Client[*counter]{
			Address: u.Address(11211),
			Start: func(_ context.Context, nc net.Conn) (*counter, error) {
				c := &counter{nc, bufio.NewReader(nc)}
				return c, c.ping()
			},
			Goodbye: "quit\r\n",
			Close:   func(c *counter) error { return c.nc.Close() },
			Ping:    func(_ context.Context, c *counter) error { return c.ping() },
			Valid:   func(c *counter) bool { return c.in.Buffered() == 0 }, // no answer is left over
			Answer:  adapt.IsA[refusal],
		}, new(dsn.Params).Apply(u.Params)
	})
}

// counter is a connection.
type counter struct {
	nc net.Conn
	in *bufio.Reader
}

// refusal is an answer that says that a command failed. The connection is still good.
type refusal string

func (r refusal) Error() string { return fmt.Sprintf("counter: the server answers %.100q", string(r)) }

// ask sends a command and returns its answer, which is one line.
func (c *counter) ask(format string, args ...any) (answer string, err error) {
	if _, err := fmt.Fprintf(c.nc, format+"\r\n", args...); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if word, _, _ := strings.Cut(line, " "); strings.HasSuffix(word, "ERROR") {
		return "", refusal(line)
	}
	return line, nil
}

func (c *counter) ping() error {
	_, err := c.ask("version")
	return err
}

// add counts a word and returns how often it was counted.
func (c *counter) add(word string) (count string, err error) {
	if count, err = c.ask("incr %s 1", word); err != nil || count != "NOT_FOUND" {
		return count, err
	}
	if answer, err := c.ask("add %s 0 0 1\r\n1", word); err != nil || answer == "STORED" {
		return "1", err
	}
	return c.ask("incr %s 1", word) // another caller has added it
}

func main() {
	p, err := pool.Open[*counter]("counter", os.Getenv("DSN"), pool.Config{MaxOpen: 5})
	if err != nil {
		log.Fatal(err)
	}
	counting, ctx := errgroup.WithContext(context.Background())
	input := bufio.NewScanner(os.Stdin)
	input.Split(bufio.ScanWords)
	for input.Scan() {
		word := input.Text()
		counting.Go(func() error {
			return p.Do(ctx, func(_ context.Context, c *counter) error {
				count, err := c.add(word)
				fmt.Printf("%s %s\n", count, word)
				return err
			})
		})
	}
	if err := counting.Wait(); err != nil {
		log.Fatal(err)
	}
	p.Close()
}
