// Package gluon tests drivers/imap against ProtonMail's gluon, a mail server unrelated
// to those of internal/mailserver, which runs in the test's process. It is a separate
// module, so that users of hotline don't download that server and its database, which
// needs cgo.
//
//	go test ./...
//
// Differences from Dovecot and Cyrus for a client: LOGIN is the only mechanism, a wrong
// password gets a NO without a code, and an APPEND to an unknown mailbox is refused only
// after the message, so that the connection stays good.
package gluon
