package fleet_test

import (
	"context"
	"log"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/fleet/etcd"
	"github.com/hotline-go/hotline/pool/fleet/redis"
)

// Run as many processes with this pool as you like: the server never has more than 15
// connections.
func Example() {
	p, err := pool.Open[net.Conn]("tcp", "tcp://10.0.0.7:2485?pool_budget=redis%3A%2F%2F10.0.0.5%2Fdepot%3Flimit%3D15", pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
}

// The store is in Redis. The client library is github.com/redis/go-redis/v9.
func Example_goRedis() {
	client := goredis.NewClient(&goredis.Options{Addr: "10.0.0.5:6379", ContextTimeoutEnabled: true})
	defer client.Close()
	store := redis.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
		return client.Eval(ctx, script, keys, args).Result()
	})
	serve(store)
}

// The store is in Redis. The client library is github.com/redis/rueidis.
func Example_rueidis() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"10.0.0.5:6379"}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	serve(rueidisStore(client))
}

func rueidisStore(client rueidis.Client) fleet.Store {
	return redis.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
		return client.Do(ctx, client.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).ToAny()
	})
}

// The store is in etcd.
func Example_etcd() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"10.0.0.5:2379"}, DialTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	serve(etcd.New(client))
}

// serve opens a pool whose gate uses store.
func serve(store fleet.Store) {
	gate, err := fleet.New(store, fleet.Config{Budget: "depot", Limit: 15})
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	p, err := pool.Open[net.Conn]("tcp", "tcp://10.0.0.7:2485", pool.Config{Gate: gate})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
}
