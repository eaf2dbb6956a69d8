//go:build linux

package ldap_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/examples/internal/realserver"
	"github.com/hotline-go/hotline/examples/internal/storm"
	_ "github.com/hotline-go/hotline/examples/ldap"
)

func TestMain(m *testing.M) { storm.Main(m) }

const (
	password = "p4ss,w/rd"
	reader   = "cn=reader,dc=example,dc=org"
	dsn      = "ldap://cn%3Dreader%2Cdc%3Dexample%2Cdc%3Dorg:p4ss%2Cw%2Frd@"

	config = `
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example,dc=org"
directory @DIR/db
access to attrs=userPassword by anonymous auth
access to * by dn.exact="cn=reader,dc=example,dc=org" read
`
	people = 100
)

// start runs a slapd with an entry for each person and one for the reader.
func start(t testing.TB) *realserver.Server {
	return realserver.Start(t, realserver.Program{
		Name: "slapd", Package: "slapd", User: "openldap",
		Configure: func(s *realserver.Server) []string {
			s.Mkdir("db")
			conf := s.Write("conf", strings.ReplaceAll(config, "@DIR", s.Dir))
			s.Run("slapadd", "slapd", "-f", conf, "-l", s.Write("entries", entries()))
			return []string{"-d", "stats", "-f", conf, "-h", "ldap://" + s.Addr}
		},
	})
}

// entries returns the contents of the directory as LDIF.
func entries() string {
	var b strings.Builder
	b.WriteString("dn: dc=example,dc=org\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: example\n\n")
	role := "dn: cn=%s,dc=example,dc=org\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: %[1]s\nuserPassword: %s\ndescription: of %[1]s\n\n"
	fmt.Fprintf(&b, role, "reader", password)
	for n := range people {
		fmt.Fprintf(&b, role, fmt.Sprint("p", n), "secret")
	}
	return b.String()
}

// exchange reads an attribute of person n.
func exchange(c *ldap.Conn, n int) error {
	found, err := c.Search(request(n))
	if err != nil {
		return err
	}
	got := ""
	for _, entry := range found.Entries {
		got += entry.GetAttributeValue("description")
	}
	return storm.Check(got, fmt.Sprint("of p", n%people))
}

// request returns the search that exchange makes.
func request(n int) *ldap.SearchRequest {
	return ldap.NewSearchRequest(fmt.Sprintf("cn=p%d,dc=example,dc=org", n%people), ldap.ScopeBaseObject,
		ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{"description"}, nil)
}

func client(c driver.Conn) *ldap.Conn {
	client, _ := driver.As[*ldap.Conn](c)
	return client
}

func TestConformance(t *testing.T) {
	s := start(t)
	drivertest.Run(t, func(t testing.TB) drivertest.Subject {
		addr, server := s.Relay(t)
		connector, err := driver.OpenConnector("ldap", dsn+addr)
		require.NoError(t, err)
		return drivertest.Subject{
			Connector: connector,
			Server:    server,
			Exchange:  func(c driver.Conn) error { return exchange(client(c), 1) },
			Leftover: func(c driver.Conn) error {
				forgotten, cancel := context.WithCancel(t.Context())
				cancel()
				client(c).SearchAsync(forgotten, request(2), 1)
				return exchange(client(c), 3)
			},
			Spoil:   func(c driver.Conn) error { return client(c).Bind("cn=p1,dc=example,dc=org", "secret") },
			Fresh:   func(c driver.Conn) error { return whoAmI(client(c)) },
			Secrets: []string{password},
			BadDSN: func() error {
				_, err := driver.OpenConnector("ldap", dsn+addr+"?nosuch=1")
				return err
			},
		}
	})
}

// whoAmI returns an error unless the connection is bound as the reader.
func whoAmI(c *ldap.Conn) error {
	answer, err := c.WhoAmI(nil)
	if err != nil {
		return err
	}
	return storm.Check(answer.AuthzID, "dn:"+reader)
}

func TestStorm(t *testing.T) {
	storm.Storm[*ldap.Conn]{
		Server:    start(t),
		MaxOpen:   12, // slapd has no limit
		Connector: func(addr string) (driver.Connector, error) { return driver.OpenConnector("ldap", dsn+addr) },
		Exchange:  func(_ context.Context, c *ldap.Conn, n int) error { return exchange(c, n) },
	}.Run(t)
}

func TestTheProgramChecksPasswords(t *testing.T) {
	s := start(t)
	out := realserver.GoRun(t, "./program", "DSN="+dsn+s.Addr, "cn=p1,dc=example,dc=org secret\ncn=p2,dc=example,dc=org wr0ng\n")
	assert.ElementsMatch(t, []string{"cn=p1,dc=example,dc=org right", "cn=p2,dc=example,dc=org wrong"}, strings.Split(strings.TrimSpace(out), "\n"))
}
