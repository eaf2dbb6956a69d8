// Program sqlprogram runs each line of its input as a query, 4 at a time, and prints the
// first column of the first row. It uses the connections of a database/sql driver:
//
//	echo 'select count(*) from orders' | DSN='host=127.0.0.1 dbname=shop user=app password=secret' go run ./postgres/sqlprogram
package main

import (
	"bufio"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/errgroup"

	"github.com/hotline-go/hotline/examples/postgres"
	"github.com/hotline-go/hotline/pool"
)

func main() {
	connector, err := postgres.SQL(os.Getenv("DSN"))
	if err != nil {
		log.Fatal(err)
	}
	p, err := pool.New[*stdlib.Conn](connector, pool.Config{MaxOpen: 4})
	if err != nil {
		log.Fatal(err)
	}
	queries, ctx := errgroup.WithContext(context.Background())
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		query := input.Text()
		queries.Go(func() error { return p.Do(ctx, first(query)) })
	}
	if err := errors.Join(queries.Wait(), p.Close()); err != nil {
		log.Fatal(err)
	}
}

// first returns a function that prints the first column of the first row.
func first(query string) func(context.Context, *stdlib.Conn) error {
	return func(ctx context.Context, c *stdlib.Conn) error {
		rows, err := c.QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := make([]driver.Value, len(rows.Columns()))
		if err := rows.Next(row); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		fmt.Println(row[0])
		return nil
	}
}
