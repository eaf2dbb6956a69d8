// Program redis counts the words of its input in Redis, up to 50 at a time on 5
// connections, and prints the three most frequent ones:
//
//	echo to be or not to be | DSN=redis://:password@127.0.0.1 go run ./redis/program
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gomodule/redigo/redis"
	"golang.org/x/sync/errgroup"

	_ "github.com/hotline-go/hotline/examples/redis" // registers "redis"
	"github.com/hotline-go/hotline/pool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	p, err := pool.Open[redis.Conn]("redis", os.Getenv("DSN"), pool.Config{MaxOpen: 5})
	if err != nil {
		return err
	}
	defer p.Close()
	count, counting := errgroup.WithContext(ctx)
	count.SetLimit(50)
	input := bufio.NewScanner(os.Stdin)
	input.Split(bufio.ScanWords)
	for input.Scan() {
		word := input.Text()
		count.Go(func() error {
			return p.Do(counting, func(_ context.Context, c redis.Conn) error {
				_, err := c.Do("ZINCRBY", "words", 1, word)
				return err
			})
		})
	}
	if err := count.Wait(); err != nil {
		return err
	}
	top, err := pool.Call(ctx, p, func(_ context.Context, c redis.Conn) ([]string, error) {
		return redis.Strings(c.Do("ZREVRANGE", "words", 0, 2, "WITHSCORES"))
	})
	for i := 0; i+1 < len(top); i += 2 {
		fmt.Println(top[i+1], top[i])
	}
	return err
}
