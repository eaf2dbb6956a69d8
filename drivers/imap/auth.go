package imap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// enableData is what go-imap returns for ENABLE.
type enableData = imapclient.EnableData

// mechanism is a way to log in.
type mechanism struct {
	name   string
	secret bool // it shows the password or the token to whoever listens
	start  func(o *opener, address string, c Credentials) sasl.Client
}

// mechanismNames are what Config.Auth may be.
func mechanismNames() []string {
	names := make([]string, len(mechanisms))
	for i, m := range mechanisms {
		names[i] = m.name
	}
	return names
}

// mechanisms are all that there are. LOGIN is a command of its own.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256", false, func(o *opener, _ string, c Credentials) sasl.Client {
		return newSCRAM(c.User, c.Password, o.AuthzID)
	}},
	{"PLAIN", true, func(o *opener, _ string, c Credentials) sasl.Client {
		return sasl.NewPlainClient(o.AuthzID, c.User, c.Password)
	}},
	{"LOGIN", true, nil},
	{"OAUTHBEARER", true, func(_ *opener, address string, c Credentials) sasl.Client {
		return oauthBearer(c.User, c.Token, address)
	}},
	{"XOAUTH2", true, func(_ *opener, _ string, c Credentials) sasl.Client {
		return xoauth2(c.User, c.Token)
	}},
	{"EXTERNAL", false, func(o *opener, _ string, _ Credentials) sasl.Client {
		return sasl.NewExternalClient(o.AuthzID)
	}},
}

// choose picks the mechanism for the server with caps. mayTell is whether the
// secret may be sent as it is.
func (o *opener) choose(caps imap.CapSet, creds Credentials, mayTell bool) (mechanism, error) {
	for _, name := range o.candidates(creds) {
		if name == "LOGIN" && caps.Has(imap.CapLoginDisabled) {
			continue
		}
		if name != "LOGIN" && !caps.Has(imap.AuthCap(name)) && o.Auth == "" {
			continue
		}
		m := mechanisms[slices.IndexFunc(mechanisms, func(m mechanism) bool { return m.name == name })]
		if m.secret && !mayTell {
			continue
		}
		return m, nil
	}
	has := strings.Join(slices.Sorted(slices.Values(caps.AuthMechanisms())), " ")
	if has == "" {
		has = "none"
	}
	if !mayTell {
		return mechanism{}, fmt.Errorf("imap: no way to log in over plain text to another host: the server has %s; use TLS, or insecure_auth=true", has)
	}
	return mechanism{}, fmt.Errorf("imap: no way to log in: the server has %s, and the credentials are for %s", has, strings.Join(o.candidates(creds), ", "))
}

// candidates returns the mechanisms that suit the credentials, the best first.
// Over TLS, SCRAM would cost a round trip more for little.
func (o *opener) candidates(creds Credentials) []string {
	switch {
	case o.Auth != "":
		return []string{o.Auth}
	case creds.Token != "":
		return []string{"OAUTHBEARER", "XOAUTH2"}
	case creds.Password == "" && o.Cert != "":
		return []string{"EXTERNAL"}
	case o.secure != nil:
		return []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
	}
	return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}
}

// login logs in.
func (m *mechanism) login(c *imapclient.Client, o *opener, address string, creds Credentials) error {
	if m.start == nil {
		return c.Login(creds.User, creds.Password).Wait()
	}
	client := m.start(o, address, creds)
	err := c.Authenticate(client)
	switch client := client.(type) {
	case *oauth:
		if err != nil && client.reason != "" && !creds.toldBy(client.reason) {
			return fmt.Errorf("%w (the server says %.200q)", err, client.reason)
		}
	case *scram:
		if err == nil && !client.verified {
			return errImpostor
		}
	}
	return err
}
