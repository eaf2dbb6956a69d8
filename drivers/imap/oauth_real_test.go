//go:build linux

package imap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/mailserver"
)

// issuer issues tokens to the program, and tells the mail server which ones are valid.
type issuer struct {
	*httptest.Server

	mu     sync.Mutex
	good   string // the latest token, or empty if it was revoked
	issued int
}

func startIssuer(t *testing.T) *issuer {
	s := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.issued++
		s.good = fmt.Sprintf("token-%d", s.issued)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": s.good, "token_type": "Bearer", "expires_in": 3600})
	})
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"active": r.FormValue("token") == s.good, "user": mailserver.User})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// revoke revokes the latest token, and returns how many were issued.
func (s *issuer) revoke() (issued int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good = ""
	return s.issued
}

// client gets tokens from the issuer.
type client struct {
	clientcredentials.Config
	source   oauth2.TokenSource
	refusals []error // the errors passed to credentials
}

// credentials is for imap.Config. It keeps a token until it is refused.
func (c *client) credentials(ctx context.Context, refused error) (imap.Credentials, error) {
	c.refusals = append(c.refusals, refused)
	if c.source == nil || refused != nil {
		c.source = c.TokenSource(context.WithoutCancel(ctx))
	}
	token, err := c.source.Token()
	if err != nil {
		return imap.Credentials{}, err
	}
	return imap.Credentials{User: account, Token: token.AccessToken, Expiry: token.Expiry}, nil
}

func TestARealServerTakesTokens(t *testing.T) {
	issuer := startIssuer(t)
	s := &realServer{products[0], mailserver.Start(t, mailserver.Dovecot, mailserver.Options{TokenInfo: issuer.URL + "/info?token="}), t}
	config := s.config(imap.Implicit)
	config.User, config.Password = "", ""
	for i, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		t.Run(mechanism, func(t *testing.T) {
			tokens := &client{Config: clientcredentials.Config{TokenURL: issuer.URL + "/token"}}
			config.Auth, config.Credentials = mechanism, tokens.credentials
			connector := s.connector(config)
			login := func() {
				c, err := connectTo(t, connector)
				require.NoError(t, err)
				assert.Equal(t, mechanism, c.Mechanism())
				assert.True(t, c.IsValid())
				require.NoError(t, c.Ping(soon(t)))
			}
			login()
			login()
			assert.Equal(t, []error{nil, nil}, tokens.refusals)
			assert.Equal(t, 2*i+1, issuer.revoke(), "one token for both")
			login()
			require.Len(t, tokens.refusals, 4)
			assert.ErrorContains(t, tokens.refusals[3], s.refusal)
			assert.Equal(t, 2*i+2, issuer.revoke(), "a fresh one")
		})
	}
	t.Run("a bad one", func(t *testing.T) {
		config.Credentials, config.User, config.Password = nil, account, "stolen"
		_, err := connectTo(t, s.connector(config))
		require.ErrorContains(t, err, s.refusal)
		assert.True(t, driver.IsPermanent(err))
		assert.NotContains(t, err.Error(), "stolen")
	})
}
