// Package ldap pools the connections of github.com/go-ldap/ldap, for directories:
//
//	dsn := "ldap://cn%3Dreader%2Cdc%3Dexample%2Cdc%3Dorg:password@ldap.example"
//	p, err := pool.Open[*ldap.Conn]("ldap", dsn, pool.Config{})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//
//	found, err := pool.Call(ctx, p, func(ctx context.Context, c *ldap.Conn) (*ldap.SearchResult, error) {
//		return c.Search(request)
//	})
//
// The user of the DSN is the name to bind as, percent-encoded. A holder may bind as
// another user, to check a password; the next holder is bound as the user of the DSN
// again.
package ldap

import (
	"context"
	"errors"
	"net"

	"github.com/go-ldap/ldap/v3"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() {
	adapt.Register("ldap", func(u *dsn.URL) (adapt.Client[*ldap.Conn], error) {
		login := func(_ context.Context, c *ldap.Conn) error {
			if u.User == "" {
				return c.UnauthenticatedBind("")
			}
			return c.Bind(u.User, u.Password)
		}
		return adapt.Client[*ldap.Conn]{
			Address: u.Address(389),
			Start: func(ctx context.Context, nc net.Conn) (*ldap.Conn, error) {
				c := ldap.NewConn(nc, false)
				c.Start() // starts a goroutine that reads
				return c, login(ctx, c)
			},
			// The library matches answers to requests by number, so an abandoned answer
			// does no harm.
			IgnoreUnread: true,
			Goodbye:      unbind,
			Close:        func(c *ldap.Conn) error { return c.Close() },
			Ping: func(_ context.Context, c *ldap.Conn) error {
				_, err := c.Search(rootEntry)
				return err
			},
			Reset:  login, // undoes a bind of the holder; costs a round trip
			Class:  adapt.ByCode(code, marks),
			Answer: func(err error) bool { var e *ldap.Error; return errors.As(err, &e) && code(e) < ldap.ErrorNetwork },
		}, new(dsn.Params).Apply(u.Params)
	})
}

// unbind is an UnbindRequest: a sequence with message ID 1 and the empty tag 2.
const unbind = "\x30\x05\x02\x01\x01\x42\x00"

// rootEntry requests an entry that every server has and shows to everyone, without its
// attributes.
var rootEntry = ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{"1.1"}, nil)

func code(e *ldap.Error) uint16 { return e.ResultCode }

var marks = map[uint16]func(error) error{
	ldap.LDAPResultInvalidCredentials: driver.Permanent, ldap.LDAPResultInvalidDNSyntax: driver.Permanent,
	ldap.LDAPResultInappropriateAuthentication: driver.Permanent, ldap.LDAPResultStrongAuthRequired: driver.Permanent,
	ldap.LDAPResultBusy: adapt.Full,
}
