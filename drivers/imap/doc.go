// Package imap is the driver for mail servers, built on go-imap
// (github.com/emersion/go-imap/v2) and drivers/tls. Importing it registers "imap"
// and "imaps".
//
//	import (
//		"github.com/hotline-go/hotline/drivers/imap"
//		"github.com/hotline-go/hotline/pool"
//	)
//
//	p, err := pool.Open[*imap.Conn]("imaps", "imaps://user:password@imap.example.org", pool.Config{})
//	...
//	err = p.Do(ctx, func(ctx context.Context, c *imap.Conn) error {
//		status, err := c.Status("INBOX", &goimap.StatusOptions{NumUnseen: true}).Wait()
//		...
//	})
//
// A connection is logged in as one user, so a pool is for one account.
//
// # DSN
//
//	imaps://user:password@host:port/mailbox?name=value&name=value
//	imap://user:password@host:port/mailbox?name=value&name=value
//
// imaps uses TLS from the first byte, on port 993 by default. imap uses STARTTLS, on
// port 143 by default, and fails if the server does not support it. The mailbox is
// optional; if given, it is selected on each connection before the connection is lent.
// In user and password, percent-encode everything except letters and digits.
//
// The parameters are those of drivers/tcp (except ping, pong and connect_ping),
// those of drivers/tls, and:
//
//	name           type  default   meaning
//	tls            word  starttls  with imap only: starttls, or none for plain text
//	auth           word  best      mechanism: SCRAM-SHA-256, PLAIN, LOGIN, OAUTHBEARER, XOAUTH2 or EXTERNAL
//	authzid        text  none      user to act as, if different from the user who logs in
//	insecure_auth  bool  false     allow sending a secret in plain text to another host
//	readonly       bool  false     select the mailbox with EXAMINE
//	reset          word  unselect  what to do if another mailbox was selected: unselect, keep or discard
//	id             text  hotline   name to send to servers that support the ID command; if empty, nothing is sent
//	enable         list  none      comma-separated extensions to ENABLE if supported, such as UTF8=ACCEPT
//	srv            bool  false     the host is a domain; look up its servers in the DNS (RFC 6186)
//	trace          bool  false     log the protocol traffic to standard error, without secrets and mail
//
// Settings that don't fit in a string are fields of [Config]. [ParseDSN] turns
// a DSN into a Config, and [NewConnector] turns that into a connector.
//
// # Login
//
// Unless auth is set, the driver goes through the mechanisms in a fixed order and uses
// the first one that the server offers. For a password over TLS, the order is PLAIN,
// LOGIN, SCRAM-SHA-256; in plain text, it is SCRAM-SHA-256, PLAIN, LOGIN. For a token,
// it is OAUTHBEARER, XOAUTH2. A client certificate without a password uses EXTERNAL.
// Without insecure_auth, a secret is sent in plain text only to this machine: localhost
// or a loopback address, without a proxy. SCRAM uses the password as it is, without
// SASLprep.
//
// If a login with SCRAM-SHA-256 fails in plain text, the driver does not try another
// mechanism. That would reveal the password, and an attacker could have made SCRAM
// fail. But the server may simply have no SCRAM secret for the account, so the error
// names the other mechanisms. Connect sends a password only once.
//
// The context of Connect limits everything, including the lookup and the handshake, so
// the DSN has no timeouts. Connect fails if the server sends more than 64 KiB before
// the login is done. The LOGOUT that Close sends takes at most two seconds.
//
// If your tokens expire, set Config.Credentials to a function that returns a valid one;
// it is called before each connect. A connection whose token has expired is not lent
// again, and [Watch] replaces it within four minutes. One of the examples gets its
// tokens from golang.org/x/oauth2.
//
// # Commands
//
// The methods of [Conn] are the commands of go-imap. They return as soon as the command
// is sent; call Wait, Collect or Close on the result to wait for the answer. So
// commands can be pipelined.
//
// Commands have no time limit of their own, even for large messages; the limits of
// go-imap are turned off. They obey the context passed to [Conn.Bind], which a pool's
// Do calls. IMAP can't cancel a command, so the connection is lost when that context
// ends.
//
// Invalid commands fail without being sent, and the connection stays good: an empty set
// of messages, a FETCH or STATUS of nothing, nil options where some are required, an
// invalid flag, or a MOVE that the server does not support.
//
// Whatever one user of a connection leaves open is cleaned up before the next one gets
// it:
//
//	left open                          what happens
//	a command without a Wait           The driver waits for its answer.
//	a FETCH, STORE, LIST or EXPUNGE    The rest of the answer is read, for up to a second.
//	an IDLE                            The driver ends it.
//	an unfinished or short APPEND      The connection is closed.
//	a selected mailbox                 It is unselected without expunging; see reset.
//
// [Conn.ResetSession] does this. [Conn.Ping] also ends open commands, for as long as
// its context allows, but leaves the mailbox selected. Commands that change
// a connection permanently, such as LOGIN and ENABLE, have no methods: use the Config.
// COMPRESS and NOTIFY are missing because go-imap does not support them.
//
// # Errors
//
// If an error means that the connection is unusable, driver.IsBad reports true for
// it; for other errors of a command it reports false. An answer from the server is
// an *imap.Error of go-imap. Type NO or BAD is the answer to a command; type BYE
// means that the server hung up. If the connection ended with the answer, the error
// is both an answer and bad. So if IsValid is false after a failed command,
// driver.IsBad is true for its error, unless only the credentials have expired.
//
// Error texts escape unprintable characters from a server, and cut off its text after
// 1000 bytes. An *imap.Error has the original text, unless it may contain a secret.
//
// An error of Connect is driver.Permanent if the server would answer the same again.
// But during a restart or a deploy, or behind a load balancer, a healthy server may
// fail in most of these ways for a moment. So the first such error is only
// driver.Throttled, for two seconds, during which no login is tried. Then one goroutine
// tries again. If it fails in the same way, its error is permanent. From then on, until
// a login succeeds, errors of these kinds are permanent at once.
//
//	the server                                               permanent
//	refuses the password or the token                        at once; if a login has succeeded before, the second time
//	begins with another protocol: HTTP, POP, SMTP            the second time
//	lacks STARTTLS, or logs us in before it                  the second time
//	offers no mechanism for these credentials                the second time
//	refuses the mailbox or ENABLE                            the second time
//	does not exist, according to the DNS (srv)               the second time
//	can't prove that it knows the password, or asks
//	  for a weak proof (SCRAM)                               at once: each try would help to guess the password
//	has a bad certificate                                    see drivers/tls
//	greets with NO or BYE                                    never
//	says UNAVAILABLE, INUSE or SERVERBUG, or is full         never
//	sends a message instead of an answer and hangs up        never
//
// The first refusal of a password is permanent because the password is usually wrong,
// and more attempts might lock the account.
//
// If the server sends an untagged NO or BAD during the login, before its answer, the
// error includes it, and its class takes it into account.
//
// driver.Full marks the answer of a server that has no room for another connection. The
// driver recognizes it by the codes LIMIT and INUSE before the end of the login, and by
// texts such as "Too many open connections" at any time. The pause is one second.
// A full Courier closes the connection without a message, which looks like an outage.
//
// driver.Throttled marks the answer of a server that wants fewer requests or logins.
// A command may get that answer too. The pause is the one that the server asked for, up
// to five minutes, or 30 seconds if it did not say.
//
// A greeting of NO or BYE is about the server or our address, never about the
// credentials. Its code and text decide whether the error is driver.Full,
// driver.Throttled or neither.
//
// Some servers repeat input that they can't parse. So login errors omit the text of
// a BAD, and any other text that contains the password or the token.
//
// Servers slow down clients after a wrong password. Dovecot delays the next good login
// from the same address by 4 to 15 seconds.
//
// # Servers
//
// The tests run the same suite against Dovecot 2.3 and Cyrus IMAP 3.6, and part of it
// against ProtonMail's gluon (internal/gluon). A client sees these differences between
// the first two:
//
//	                      Dovecot                     Cyrus
//	wrong password        NO [AUTHENTICATIONFAILED]   NO, without a code
//	one login too many    NO [LIMIT]                  NO Too many open connections
//	session ended         BYE, then a close           a close
//	session crashed       no longer counted           counted in maxlogins_per_user forever
//
// Both refuse an APPEND to an unknown mailbox before they receive the message. go-imap
// then closes the connection.
//
// # Advice
//
// A pool uses these values unless its settings or the DSN have others:
//
//	MaxOpen         4
//	MaxConnecting   2, which limits the logins at one time
//	ConnectTimeout  30 seconds
//	KeepAlive       4 minutes: a connection idle for that long gets a NOOP
//	PingTimeout     15 seconds, for the answer to that
//	MaxIdleTime     10 minutes
//	MaxLifetime     4 hours, or 25 minutes if tokens or a Credentials function are used
//
// A pool also checks connections that were idle for a second (ValidateAfter), which
// costs a round trip. If your requests are rare and safe to repeat, increase
// ValidateAfter.
//
// # Goroutines
//
// A connection has one goroutine that reads, and another one during an IDLE or an
// EXPUNGE. All end with the connection, and Close waits up to a second for them.
//
// Each command has a lock, and so has the connection. They are always locked in this
// order. The lock of a command is held while the command waits for the server; that of
// the connection is never held across I/O.
package imap
