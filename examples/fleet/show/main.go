// Command show is hotline fleet, with the stores that need a client library too. It prints
// how processes share a budget in PostgreSQL, etcd or Redis.
//
//	go run ./fleet/show 'postgres://app@10.0.0.5/database/depot?limit=100'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/hotline-go/hotline/pool/fleet"
	_ "github.com/hotline-go/hotline/pool/fleet/etcd"
	_ "github.com/hotline-go/hotline/pool/fleet/postgres"
	_ "github.com/hotline-go/hotline/pool/fleet/redis"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "show:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("want one argument, the DSN of a budget")
	}
	store, cfg, err := fleet.OpenStore(os.Args[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return fleet.Show(ctx, os.Stdout, store, cfg)
}
