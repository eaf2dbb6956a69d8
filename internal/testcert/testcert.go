// Package testcert makes certificates for tests and their servers. They are made in
// memory and take about a millisecond each.
//
//	ca := testcert.NewCA()
//	l, err := tls.Listen("tcp", "127.0.0.1:0", ca.ServerConfig())
//	c, err := tls.Dial("tcp", l.Addr().String(), ca.ClientConfig())
//
// Certificates are valid from 1999 to 2099, so they are also valid in the fake time of
// a testing/synctest bubble, which begins in 2000. Functions panic if the system can't
// make keys, which does not happen.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CA is a certificate authority, trusted only by clients that are configured to trust
// it. Its methods are safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA returns a new authority.
func NewCA() *CA {
	template := newTemplate("hotline test CA")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key := newKey()
	cert := sign(template, template, &key.PublicKey, key)
	return &CA{cert: cert, key: key}
}

// Pool returns a pool of roots with only this authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// PEM returns the certificate of the authority in the format of a ca file.
func (ca *CA) PEM() []byte { return encode("CERTIFICATE", ca.cert.Raw) }

// Server returns a server certificate for the given DNS names and IP addresses. Without
// any, it is for localhost, 127.0.0.1 and ::1.
func (ca *CA) Server(names ...string) tls.Certificate {
	return ca.Issue(serverTemplate(names))
}

// Expired is like [CA.Server], but the certificate expired in 1999.
func (ca *CA) Expired(names ...string) tls.Certificate {
	template := serverTemplate(names)
	template.NotAfter = template.NotBefore.AddDate(0, 1, 0)
	return ca.Issue(template)
}

// Client returns a client certificate whose common name is name.
func (ca *CA) Client(name string) tls.Certificate {
	template := newTemplate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.Issue(template)
}

// Issue signs template with a new key. It sets the serial number, and the validity
// times if they are zero.
func (ca *CA) Issue(template *x509.Certificate) tls.Certificate {
	t := *template
	t.SerialNumber = newSerial()
	if t.NotBefore.IsZero() {
		t.NotBefore = notBefore
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = notAfter
	}
	key := newKey()
	leaf := sign(&t, ca.cert, &key.PublicKey, ca.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// ServerConfig returns a configuration with a new certificate from [CA.Server].
func (ca *CA) ServerConfig(names ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.Server(names...)}}
}

// ClientConfig returns a configuration that trusts only this authority, and expects the
// server to be localhost.
func (ca *CA) ClientConfig() *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
}

// PEM returns cert and its key in the format of cert and key files.
func PEM(cert tls.Certificate) (certPEM, keyPEM []byte) {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(err)
	return encode("CERTIFICATE", cert.Certificate[0]), encode("PRIVATE KEY", der)
}

func serverTemplate(names []string) *x509.Certificate {
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	template := newTemplate(names[0])
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func newSerial() *big.Int {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(err)
	return serial
}

func sign(template, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return cert
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("testcert: %v", err))
	}
}
