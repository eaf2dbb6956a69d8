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
	"github.com/hotline-go/hotline/drivers/internal/doubt"
)

// explain turns the error of a failed handshake into one that says what it means.
// It marks the errors that look like a wrong setting for [doubt.Doubt].
func (w *watcher) explain(ctx context.Context, err error) error {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var pin *pinError
	switch alert, isAlert := alertOf(err); {
	case errors.As(err, &untrusted) && len(untrusted.UnverifiedCertificates) > 0: // an error of the user's own check may have none
		return doubt.Mark(fmt.Errorf("tls: the server's certificate (%s): %w", describe(untrusted.UnverifiedCertificates[0]), reason(untrusted.Err)))
	case errors.As(err, &pin):
		return doubt.Mark(err)
	case errors.As(err, &plain) && plain.Conn != nil:
		plain.Conn = nil // an error must not give access to the socket
		return doubt.Mark(fmt.Errorf("tls: the server does not speak TLS on this port; its first bytes are %q: %w", plain.RecordHeader, plain))
	case isAlert && isRefusal(alert):
		return doubt.Mark(fmt.Errorf("tls: %s: %w", w.refused(alert), err))
	case isAlert:
		return fmt.Errorf("tls: handshake: %w", err)
	case ctx.Err() != nil:
		return fmt.Errorf("tls: the server did not finish the handshake: %w", ctx.Err())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("tls: the server closed the connection during the handshake: %w", err)
	case errors.As(err, new(net.Error)) || errors.Is(err, net.ErrClosed):
		return fmt.Errorf("tls: handshake: %w", err) // an I/O error, or a garbled record
	}
	return doubt.Mark(fmt.Errorf("tls: handshake: %w", driver.QuoteError(err))) // crypto/tls rejected a message from the server
}

// alertOf returns the server's alert in err, if there is one. For alerts on
// a connection, crypto/tls uses a type that it does not export.
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

// isRefusal reports whether an alert (RFC 8446, section 6.2) means that the settings
// of the two sides don't fit, rather than that there was an accident.
func isRefusal(alert tls.AlertError) bool {
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

// refused says what the server refused. Once it has asked for a certificate, it can
// refuse nothing else.
func (w *watcher) refused(alert tls.AlertError) string {
	switch {
	case w.asked && (w.shown == nil || len(w.shown.Certificate) == 0):
		return "the server wants a client certificate, but none is set, or none that it accepts (cert and key)"
	case w.asked:
		leaf, err := x509.ParseCertificate(w.shown.Certificate[0])
		if err != nil {
			return "the server refused the client's certificate"
		}
		return "the server refused the client's certificate (" + describe(leaf) + ")"
	case alert == protocolVersion:
		return "the server refused the TLS versions from min_version to max_version"
	case alert == noApplicationProtocol:
		return "the server refused all protocols of alpn"
	case alert == unrecognizedName:
		return "the server does not know this server_name"
	}
	return "the server refused the handshake"
}

// pinError is the error if no certificate matches a pin.
type pinError struct{ certificate string }

func (e *pinError) Error() string {
	return fmt.Sprintf("tls: pin: neither the server's certificate (%s) nor its authorities have a pinned key", e.certificate)
}

// describe returns the names and dates of a certificate. It quotes the names, which
// may be any text.
func describe(c *x509.Certificate) string {
	text := "subject " + driver.Quote(c.Subject.String())
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > 0 {
		text += ", for " + driver.Quote(strings.Join(names, " "))
	}
	return fmt.Sprintf("%s, by %s, valid from %s to %s", text, driver.Quote(c.Issuer.String()), c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
}

// reason returns err with a safe and short text, and with advice for the most common
// fault.
func reason(err error) error {
	var name x509.HostnameError
	if errors.As(err, &name) {
		return &nameError{name}
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return fmt.Errorf("%w; trust its authority with ca=FILE", driver.QuoteError(err))
	}
	return driver.QuoteError(err)
}

// nameError is an x509.HostnameError without the names in the certificate, of which
// there may be thousands.
type nameError struct{ err x509.HostnameError }

func (e *nameError) Error() string {
	return "x509: certificate is valid for other names, not " + e.err.Host
}
func (e *nameError) Unwrap() error { return e.err }
