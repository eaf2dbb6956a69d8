package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/hotline-go/hotline/driver"
)

// explain says what a failed handshake means, and marks as permanent what
// another attempt can't change.
func explain(err error) error {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var pin *pinError
	switch alert, told := alertOf(err); {
	case errors.As(err, &untrusted):
		return driver.Permanent(fmt.Errorf("tls: the server's certificate (%s): %w", describe(untrusted.UnverifiedCertificates[0]), reason(untrusted.Err)))
	case errors.As(err, &pin):
		return driver.Permanent(err)
	case errors.As(err, &plain):
		return driver.Permanent(fmt.Errorf("tls: the server does not speak TLS on this port, its first bytes are %q: %w", plain.RecordHeader, err))
	case told && isVerdict(alert):
		return driver.Permanent(fmt.Errorf("tls: the server refused: %w", err))
	case told || isIO(err):
		return fmt.Errorf("tls: handshake: %w", err)
	}
	return driver.Permanent(fmt.Errorf("tls: handshake: %w", err)) // crypto/tls did not like what it got
}

// isIO reports whether err is about the connection below, or the time, and not
// about TLS.
func isIO(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// alertOf returns the alert of the server that err is. crypto/tls has a type of
// its own for those on a connection, which it does not export.
func alertOf(err error) (tls.AlertError, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return tls.AlertError(v.Uint()), true
}

// isVerdict reports whether an alert (RFC 8446, section 6.2) is about what the
// two sides are set up to accept, and not about a mishap.
func isVerdict(alert tls.AlertError) bool {
	switch alert {
	case 40, // handshake_failure
		42, 43, 44, 45, 46, // bad, unsupported, revoked, expired, unknown certificate
		48, 49, // unknown_ca, access_denied
		70, 71, // protocol_version, insufficient_security
		112, 113, 116, 120: // unrecognized_name, bad_certificate_status_response, certificate_required, no_application_protocol
		return true
	}
	return false
}

// pinError says that no certificate has one of the pins.
type pinError struct{ certificate string }

func (e *pinError) Error() string {
	return fmt.Sprintf("tls: pin: neither the server's certificate (%s) nor its authorities have a pinned key", e.certificate)
}

// describe names a certificate.
func describe(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return fmt.Sprintf("subject %q, for %s, by %q, valid from %s to %s", c.Subject, strings.Join(names, " "), c.Issuer,
		c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
}

// reason says what to do about the commonest fault.
func reason(err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w; name the authority by ca", err)
	}
	return err
}
