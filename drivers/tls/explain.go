package tls

import (
	"context"
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
func (w *watcher) explain(ctx context.Context, err error) error {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var pin *pinError
	switch alert, told := alertOf(err); {
	case errors.As(err, &untrusted):
		return driver.Permanent(fmt.Errorf("tls: the server's certificate (%s): %w", describe(untrusted.UnverifiedCertificates[0]), reason(untrusted.Err)))
	case errors.As(err, &pin):
		return driver.Permanent(err)
	case errors.As(err, &plain) && plain.Conn != nil:
		plain.Conn = nil // nobody should reach the socket through an error
		return driver.Permanent(fmt.Errorf("tls: the server does not speak TLS on this port, its first bytes are %q: %w", plain.RecordHeader, plain))
	case told && isVerdict(alert):
		return driver.Permanent(fmt.Errorf("tls: %s: %w", w.refused(alert), err))
	case told:
		return fmt.Errorf("tls: handshake: %w", err)
	case ctx.Err() != nil:
		return fmt.Errorf("tls: the server did not finish the handshake: %w", ctx.Err())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("tls: the server closed the connection in the handshake: %w", err)
	case errors.As(err, new(net.Error)) || errors.Is(err, net.ErrClosed):
		return fmt.Errorf("tls: handshake: %w", err) // the socket's, or a record that was garbled
	}
	return driver.Permanent(fmt.Errorf("tls: handshake: %w", err)) // crypto/tls did not like what the server wants
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
		protocolVersion, 71, // insufficient_security
		unrecognizedName, 113, // bad_certificate_status_response
		116, noApplicationProtocol: // certificate_required
		return true
	}
	return false
}

const (
	protocolVersion       = 70
	unrecognizedName      = 112
	noApplicationProtocol = 120
)

// refused says what a verdict is about. Once the server has asked for
// a certificate, there is nothing else left to refuse.
func (w *watcher) refused(alert tls.AlertError) string {
	switch {
	case w.asked && (w.shown == nil || len(w.shown.Certificate) == 0):
		return "the server wants a certificate of the client, who has none, or none of the kind (cert and key)"
	case w.asked:
		leaf, err := x509.ParseCertificate(w.shown.Certificate[0])
		if err != nil {
			return "the server refused the client's certificate"
		}
		return "the server refused the client's certificate (" + describe(leaf) + ")"
	case alert == protocolVersion:
		return "the server refused the versions of TLS from min_version to max_version"
	case alert == noApplicationProtocol:
		return "the server refused all protocols of alpn"
	case alert == unrecognizedName:
		return "the server does not go by this server_name"
	}
	return "the server refused the handshake"
}

// pinError says that no certificate has one of the pins.
type pinError struct{ certificate string }

func (e *pinError) Error() string {
	return fmt.Sprintf("tls: pin: neither the server's certificate (%s) nor its authorities have a pinned key", e.certificate)
}

// describe names a certificate.
func describe(c *x509.Certificate) string {
	text := fmt.Sprintf("subject %q", c.Subject)
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > 0 {
		text += ", for " + strings.Join(names, " ")
	}
	return fmt.Sprintf("%s, by %q, valid from %s to %s", text, c.Issuer, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
}

// reason says what to do about the commonest fault.
func reason(err error) error {
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return fmt.Errorf("%w; trust its authority with ca=FILE", err)
	}
	return err
}
