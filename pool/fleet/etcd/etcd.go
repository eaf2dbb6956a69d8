// Package etcd stores the budgets of package fleet in etcd.
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"10.0.0.5:2379"}, DialTimeout: 5 * time.Second})
//	if err != nil {
//		return err
//	}
//	gate, err := fleet.New(etcd.New(client), fleet.Config{Budget: "depot", Limit: 100})
//
// After its import, DSNs can also name budgets:
//
//	etcd://user:pw@10.0.0.5:2379/depot?limit=100
//
// It is a module of its own, because the etcd client has many dependencies.
//
// # Keys and leases
//
// A budget is the keys below hotline/fleet/NAME/, with the name in hexadecimal: version,
// learning, and one for each process. Rows expire by etcd's leases. Each write makes
// a lease for its row, and the lease of the old row ends by itself. No lease is kept
// alive in the background, so none outlives its gate. etcd counts whole seconds, 2 or
// more, and notices the end of a lease up to a second late, so a row may live up to two
// seconds longer than its Left. Read returns rows with the Left that they were written
// with.
//
// etcd does not lose acknowledged writes. A budget that is gone, because its keys or the
// data directory were deleted, counts as lost, and package fleet learns it again. A
// cluster that was restored from a snapshot has old rows: delete the keys below
// hotline/fleet/ then.
package etcd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/pool/fleet"
)

// Store is a [fleet.Store].
type Store struct {
	client func(context.Context) (*clientv3.Client, error)
}

// New returns a store that uses client.
func New(client *clientv3.Client) *Store {
	return &Store{func(context.Context) (*clientv3.Client, error) { return client, nil }}
}

// folder is where the keys of a budget are.
func folder(budget string) string { return "hotline/fleet/" + hex.EncodeToString([]byte(budget)) + "/" }

// The keys in the folder, and the prefix of the keys of rows.
const (
	versionKey  = "version"
	learningKey = "learning"
	rowKey      = "row/"
)

// Read implements [fleet.Store].
func (s *Store) Read(ctx context.Context, budget string) (fleet.Ledger, error) {
	client, err := s.client(ctx)
	if err != nil {
		return fleet.Ledger{}, failed(err)
	}
	answer, err := client.Get(ctx, folder(budget), clientv3.WithPrefix())
	if err != nil {
		return fleet.Ledger{}, failed(err)
	}
	l := fleet.Ledger{Lost: true}
	for _, kv := range answer.Kvs {
		key := strings.TrimPrefix(string(kv.Key), folder(budget))
		switch owner, isRow := strings.CutPrefix(key, rowKey); {
		case key == versionKey:
			l.Version, l.Lost = strconv.FormatInt(kv.ModRevision, 10), false
		case key == learningKey:
			l.Learning = true
		case isRow:
			r := fleet.Row{Owner: owner, Version: strconv.FormatInt(kv.ModRevision, 10)}
			var till int64
			if _, err := fmt.Sscan(string(kv.Value), &r.May, &r.Held, &r.Want, &till); err != nil {
				return l, failed(fmt.Errorf("a row of budget %q: %w", budget, err))
			}
			r.Left = time.Duration(till) * time.Second
			l.Rows = append(l.Rows, r)
		}
	}
	return l, nil
}

// Write implements [fleet.Store].
func (s *Store) Write(ctx context.Context, budget, version string, e fleet.Entry) (bool, error) {
	client, err := s.client(ctx)
	if err != nil {
		return false, failed(err)
	}
	at := folder(budget)
	var conditions []clientv3.Cmp
	need := func(key, version string) error {
		revision, err := int64(0), error(nil) // of a key that does not exist
		if version != "" {
			revision, err = strconv.ParseInt(version, 10, 64)
		}
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(at+key), "=", revision))
		return err
	}
	if need(rowKey+e.Owner, e.Version) != nil {
		return false, nil // not a version of this store
	}
	var puts []clientv3.Op
	switch {
	case version == "", e.Grows, e.Learn > 0:
		if need(versionKey, version) != nil {
			return false, nil
		}
		puts = append(puts, clientv3.OpPut(at+versionKey, ""))
	case e.May > 0 && e.Version == "":
		return false, nil
	default:
		conditions = append(conditions, clientv3.Compare(clientv3.CreateRevision(at+versionKey), ">", 0))
	}
	var leases []clientv3.LeaseID
	put := func(key, value string, life time.Duration) error {
		lease, err := client.Grant(ctx, seconds(life))
		if err == nil {
			leases = append(leases, lease.ID)
			puts = append(puts, clientv3.OpPut(key, value, clientv3.WithLease(lease.ID)))
		}
		return err
	}
	if e.Left > 0 {
		err = put(at+rowKey+e.Owner, fmt.Sprint(e.May, e.Held, e.Want, seconds(e.Left)), e.Left)
	} else {
		puts = append(puts, clientv3.OpDelete(at+rowKey+e.Owner))
	}
	if e.Learn > 0 && err == nil {
		err = put(at+learningKey, "", e.Learn)
	}
	if err != nil {
		return false, failed(err)
	}
	answer, err := client.Txn(ctx).If(conditions...).Then(puts...).Commit()
	if err != nil {
		return false, failed(err) // the leases end by themselves
	}
	if !answer.Succeeded {
		for _, lease := range leases {
			_, _ = client.Revoke(ctx, lease) // or it ends by itself
		}
	}
	return answer.Succeeded, nil
}

// seconds returns the time of a lease for d, in seconds. etcd raises a time that is too
// short by itself, so ask for the time that it will use.
func seconds(d time.Duration) int64 { return max(int64((d+time.Second-1)/time.Second), 2) }

func failed(err error) error { return fmt.Errorf("fleet/etcd: %w", err) }

// own is a store that closes its client.
type own struct {
	*Store
	io.Closer
}

// lazyClient makes its client at the first call: a new client with a password logs in,
// which needs the server.
type lazyClient struct {
	cfg clientv3.Config

	busy   chan struct{} // holds one element while client is in use
	client *clientv3.Client
}

func (l *lazyClient) get(ctx context.Context) (*clientv3.Client, error) {
	select {
	case l.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.busy }()
	if l.client != nil {
		return l.client, nil
	}
	cfg := l.cfg
	life, end := context.WithCancel(context.Background()) // of the client; ctx bounds only its login
	cfg.Context = life
	inTime := context.AfterFunc(ctx, end)
	client, err := clientv3.New(cfg)
	switch {
	case !inTime():
		err = errors.Join(ctx.Err(), err)
		if client != nil {
			client.Close()
		}
	case err == nil:
		l.client = client
	default:
		end()
	}
	return l.client, err
}

// Close closes the client if there is one. A later call makes another.
func (l *lazyClient) Close() error {
	l.busy <- struct{}{}
	defer func() { <-l.busy }()
	if l.client == nil {
		return nil
	}
	err := l.client.Close()
	l.client = nil
	return err
}

func init() {
	fleet.Register("etcd", func(text string) (fleet.Store, error) {
		u, err := dsn.Parse(text)
		if err != nil {
			return nil, err
		}
		if u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, errors.New("want a host and a budget, as in etcd://127.0.0.1:2379/budget?limit=15")
		}
		if err := new(dsn.Params).Apply(u.Params); err != nil {
			return nil, err
		}
		c := &lazyClient{busy: make(chan struct{}, 1), cfg: clientv3.Config{
			Endpoints: []string{u.Address(2379)}, Username: u.User, Password: u.Password, Logger: zap.NewNop(),
		}}
		return own{&Store{c.get}, c}, nil
	})
}
