// Package gluon tests drivers/imap against ProtonMail's gluon, a mail server that is
// unrelated to those of internal/mailserver and runs in the test's process. It is
// a separate module, so that users of hotline don't download that server and its
// database, which needs cgo.
//
//	go test ./...
//
// A client sees these differences from Dovecot and Cyrus: LOGIN is the only mechanism,
// and an APPEND to an unknown mailbox is refused only after the message, so the
// connection stays good. A wrong password gets a NO without a code, as with Cyrus.
package gluon
