package imap

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"

	"github.com/hotline-go/hotline/driver"
)

// oauth is a mechanism that sends a token. A server that refuses it gives the reason in
// a challenge, and the login fails once the client has answered that.
type oauth struct {
	mechanism, response, answer string
	reason                      string // from the server
}

// oauthBearer returns OAUTHBEARER (RFC 7628).
func oauthBearer(user, token, address string) *oauth {
	host, port, _ := net.SplitHostPort(address)
	return &oauth{
		mechanism: "OAUTHBEARER",
		response:  fmt.Sprintf("n,a=%s,\x01host=%s\x01port=%s\x01auth=Bearer %s\x01\x01", saslName.Replace(user), host, port, token),
		answer:    "\x01",
	}
}

// xoauth2 returns XOAUTH2, which Google and Microsoft document.
func xoauth2(user, token string) *oauth {
	return &oauth{mechanism: "XOAUTH2", response: fmt.Sprintf("user=%s\x01auth=Bearer %s\x01\x01", user, token)}
}

// Start implements sasl.Client.
func (o *oauth) Start() (string, []byte, error) { return o.mechanism, []byte(o.response), nil }

// Next implements sasl.Client.
func (o *oauth) Next(challenge []byte) ([]byte, error) {
	o.reason = string(challenge)
	return []byte(o.answer), nil
}

// saslName escapes a user name (RFC 5801, section 4).
var saslName = strings.NewReplacer("=", "=3D", ",", "=2C")

// scram is SCRAM-SHA-256 (RFC 7677), without channel binding.
type scram struct {
	password      string
	header, first string // of the client's first message
	nonce         string
	signature     []byte // proves that the server knows the password
	verified      bool   // the server has sent it
}

func newSCRAM(user, password, authzID string) *scram {
	s := &scram{password: password, header: "n,,", nonce: rand.Text()}
	if authzID != "" {
		s.header = "n,a=" + saslName.Replace(authzID) + ","
	}
	s.first = "n=" + saslName.Replace(user) + ",r=" + s.nonce
	return s
}

// Start implements sasl.Client.
func (s *scram) Start() (string, []byte, error) {
	return "SCRAM-SHA-256", []byte(s.header + s.first), nil
}

// Next implements sasl.Client.
func (s *scram) Next(challenge []byte) ([]byte, error) {
	fields := map[string]string{}
	for field := range strings.SplitSeq(string(challenge), ",") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	if reason, refused := fields["e"]; refused { // answering it would only get us a NO
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: fmt.Sprintf("SCRAM %.40q", reason)}
	}
	if s.signature == nil {
		return s.prove(string(challenge), fields)
	}
	proof, err := base64.StdEncoding.DecodeString(fields["v"])
	if err != nil || subtle.ConstantTimeCompare(proof, s.signature) == 0 {
		return nil, errUnproven
	}
	s.verified = true
	return nil, nil
}

var errUnproven = driver.Permanent(errors.New("the server has not proved that it knows the password; it may belong to an attacker"))

// Limits on the iterations that a server may ask for: the minimum of RFC 7677, and
// about a second of work.
const (
	minIterations = 4096
	maxIterations = 5_000_000
)

// prove answers the first challenge.
func (s *scram) prove(challenge string, fields map[string]string) ([]byte, error) {
	salt, errSalt := base64.StdEncoding.DecodeString(fields["s"])
	iterations, errCount := strconv.Atoi(fields["i"])
	fresh := strings.HasPrefix(fields["r"], s.nonce) && len(fields["r"]) > len(s.nonce)
	_, extended := fields["m"] // a mandatory extension, which we don't know
	if errSalt != nil || len(salt) == 0 || errCount != nil || !fresh || extended || iterations < minIterations || iterations > maxIterations {
		return nil, driver.Permanent(errors.New("the server's SCRAM challenge violates RFC 7677"))
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, err
	}
	final := "c=" + base64.StdEncoding.EncodeToString([]byte(s.header)) + ",r=" + fields["r"]
	message := s.first + "," + challenge + "," + final
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := make([]byte, len(key))
	subtle.XORBytes(proof, key, mac(stored[:], message))
	s.signature = mac(mac(salted, "Server Key"), message)
	return fmt.Appendf(nil, "%s,p=%s", final, base64.StdEncoding.EncodeToString(proof)), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return bytes.Clone(h.Sum(nil))
}

var _, _ sasl.Client = (*oauth)(nil), (*scram)(nil)
