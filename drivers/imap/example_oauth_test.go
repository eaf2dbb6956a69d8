package imap_test

import (
	"context"
	"fmt"
	"log"

	"golang.org/x/oauth2"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/pool"
)

// Tokens come from golang.org/x/oauth2. Its sources keep a token until just before it
// expires.
func ExampleConfig_oauth() {
	// In a real program, use the source of an oauth2.Config or a clientcredentials.Config.
	var source oauth2.TokenSource = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "t0ken"})

	cfg, err := imap.ParseDSN("imaps://imap.example.org/INBOX")
	if err != nil {
		log.Fatal(err)
	}
	cfg.Credentials = func(context.Context, error) (imap.Credentials, error) {
		t, err := source.Token()
		if err != nil {
			return imap.Credentials{}, err
		}
		return imap.Credentials{User: "ada@example.org", Token: t.AccessToken, Expiry: t.Expiry}, nil
	}
	connector, err := imap.NewConnector(cfg)
	if err != nil {
		log.Fatal(err)
	}
	p, err := pool.New[*imap.Conn](connector, pool.Config{}) // connects on demand
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p)
	// Output: pool "imaps imap.example.org:993"
}
