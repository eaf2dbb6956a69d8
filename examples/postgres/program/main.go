// Program postgres is a queue in a table. It adds a job for each line of its input. Then 8
// workers take the jobs and do them, together with those in other processes. A job whose
// worker fails stays in the table:
//
//	seq 100 | DSN=postgres://app:password@127.0.0.1/shop go run ./postgres/program
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	_ "github.com/hotline-go/hotline/examples/postgres" // registers "postgres"
	"github.com/hotline-go/hotline/pool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	p, err := pool.Open[*pgx.Conn]("postgres", os.Getenv("DSN"), pool.Config{MaxOpen: 4})
	if err != nil {
		return err
	}
	defer p.Close()
	exec := func(sql string, args ...any) error {
		return p.Do(ctx, func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, sql, args...)
			return err
		})
	}
	if err := exec("create table if not exists jobs (id serial primary key, body text)"); err != nil {
		return err
	}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		if err := exec("insert into jobs (body) values ($1)", input.Text()); err != nil {
			return err
		}
	}
	workers, ctx := errgroup.WithContext(ctx)
	for range 8 {
		workers.Go(func() error {
			for {
				err := p.Do(ctx, work)
				if errors.Is(err, pgx.ErrNoRows) {
					return nil // no job is left
				}
				if err != nil {
					return err
				}
			}
		})
	}
	return workers.Wait()
}

// work takes the oldest job that no other worker has, and does it.
func work(ctx context.Context, c *pgx.Conn) error {
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		var body string
		err := tx.QueryRow(ctx, "delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning body").Scan(&body)
		if err != nil {
			return err
		}
		fmt.Println("did", body)
		return nil
	})
}
