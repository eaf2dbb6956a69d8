package imap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// enableData is go-imap's result of an ENABLE.
type enableData = imapclient.EnableData

// mechanism is a way to log in.
type mechanism struct {
	name      string
	cleartext bool // an eavesdropper can see the password or the token
	start     func(o *opener, address string, c Credentials) sasl.Client
}

// mechanismNames returns the values that Config.Auth may have.
func mechanismNames() []string {
	names := make([]string, len(mechanisms))
	for i, m := range mechanisms {
		names[i] = m.name
	}
	return names
}

// mechanisms lists all known mechanisms. LOGIN has no start: it is a command, not
// a SASL mechanism.
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

// offered returns the mechanisms that suit the credentials and that a server with
// caps offers, best first. A mechanism set in the Config need not be offered.
func (o *opener) offered(caps imap.CapSet, creds Credentials) (all []mechanism) {
	for _, name := range o.candidates(creds) {
		if name == "LOGIN" && caps.Has(imap.CapLoginDisabled) {
			continue
		}
		if name != "LOGIN" && !caps.Has(imap.AuthCap(name)) && o.Auth == "" {
			continue
		}
		all = append(all, mechanisms[slices.IndexFunc(mechanisms, func(m mechanism) bool { return m.name == name })])
	}
	return all
}

// choose picks the mechanism for a server with caps. mayReveal says whether the secret
// may be sent in cleartext.
func (o *opener) choose(caps imap.CapSet, creds Credentials, mayReveal bool) (mechanism, error) {
	for _, m := range o.offered(caps, creds) {
		if !m.cleartext || mayReveal {
			return m, nil
		}
	}
	has := strings.Join(slices.Sorted(slices.Values(caps.AuthMechanisms())), " ")
	if has == "" {
		has = "none"
	}
	if !mayReveal {
		return mechanism{}, fmt.Errorf("imap: no way to log in over plain text to another host: the server offers %s; use TLS, or insecure_auth=true", has)
	}
	return mechanism{}, fmt.Errorf("imap: no way to log in: the server offers %s, but these credentials need %s", has, strings.Join(o.candidates(creds), ", "))
}

// candidates returns the mechanisms that suit the credentials, best first. Over
// TLS, SCRAM would cost another round trip for little benefit.
func (o *opener) candidates(creds Credentials) []string {
	switch {
	case o.Auth != "":
		return []string{o.Auth}
	case creds.Token != "":
		return []string{"OAUTHBEARER", "XOAUTH2"}
	case creds.Password == "" && o.TLS.Cert != "":
		return []string{"EXTERNAL"}
	case o.secure != nil:
		return []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
	}
	return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}
}

// withAlternatives adds a hint to err if err is a refusal, m does not send the password
// in cleartext, and the server also offers mechanisms that do. Those are used only if
// the user asks for one, because an attacker could have made m fail. But the server may
// also have no SCRAM secret for this account.
func (o *opener) withAlternatives(err error, m mechanism, caps imap.CapSet, creds Credentials, mayReveal bool) error {
	var names []string
	for _, other := range o.offered(caps, creds) {
		if other.cleartext && !m.cleartext {
			names = append(names, other.name)
		}
	}
	if len(names) == 0 || !errors.As(err, new(refusal)) {
		return err
	}
	with := "auth=" + names[0]
	if !mayReveal {
		with += " and insecure_auth=true"
	}
	return fmt.Errorf("%w; the server also offers %s, which would show the password to eavesdroppers: use TLS, or %s", err, strings.Join(names, ", "), with)
}

// login logs in with m.
func (m *mechanism) login(c *imapclient.Client, o *opener, address string, creds Credentials) error {
	if m.start == nil {
		return c.Login(creds.User, creds.Password).Wait()
	}
	client := m.start(o, address, creds)
	err := c.Authenticate(client)
	switch client := client.(type) {
	case *oauth:
		if err != nil && client.reason != "" && !creds.revealedBy(client.reason) {
			return fmt.Errorf("%w (the server said %.200q)", err, client.reason)
		}
	case *scram:
		if err == nil && !client.verified {
			return errUnproven
		}
	}
	return err
}
