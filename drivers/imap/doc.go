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
// imaps uses TLS from the first byte, on port 993 unless the DSN has another. imap
// uses STARTTLS, on port 143, and fails if the server does not support it. The
// mailbox is optional; if given, it is selected in each connection before it is lent.
// In user and password, percent-encode everything except letters and digits.
//
// The parameters are those of drivers/tcp (except ping and pong), those of
// drivers/tls, and:
//
//	name           type  default   meaning
//	tls            word  starttls  with imap only: starttls, or none for plain text
//	auth           word  best      mechanism: SCRAM-SHA-256, PLAIN, LOGIN, OAUTHBEARER, XOAUTH2 or EXTERNAL
//	authzid        text  none      user to act as, if it is not the user that logs in
//	insecure_auth  bool  false     allow sending a secret in plain text to another host
//	readonly       bool  false     select the mailbox with EXAMINE
//	reset          word  unselect  after another mailbox was selected: unselect, keep or discard
//	id             text  hotline   name to send to servers that support the ID command; empty: none
//	enable         list  none      extensions to ENABLE if supported, separated by commas, such as UTF8=ACCEPT
//	srv            bool  false     the host is a domain; its servers are in the DNS (RFC 6186)
//	trace          bool  false     log the protocol traffic to standard error, without secrets and mail
//
// Settings that don't fit in a string are fields of [Config]. [ParseDSN] turns
// a DSN into a Config, and [NewConnector] turns that into a connector.
//
// # Login
//
// Without auth, the driver uses the first mechanism that the server offers. For
// a password over TLS the order is PLAIN, LOGIN, SCRAM-SHA-256; in plain text it is
// SCRAM-SHA-256, PLAIN, LOGIN. For a token it is OAUTHBEARER, XOAUTH2; for a client
// certificate without a password, EXTERNAL. Without insecure_auth, a secret is sent
// in plain text only to this machine: localhost or a loopback address, without
// a proxy. SCRAM uses the password as it is, without SASLprep.
//
// In plain text, a login that failed with SCRAM-SHA-256 is not repeated with another
// mechanism, which would reveal the password: an attacker could have made SCRAM fail.
// A server may offer SCRAM without having a SCRAM secret for the account, so the error
// names the other mechanisms. A Connect sends a password only once.
//
// The context of Connect bounds everything, including the lookup and the handshake,
// so there are no timeouts in the DSN. The LOGOUT of Close takes at most two seconds.
// If a server sends more than 64 KiB before the login is done, Connect fails.
//
// If tokens expire, let Config.Credentials return one for each connect. A connection
// whose token has expired is not lent again, and [Watch] replaces it within four
// minutes. One of the examples gets its tokens from golang.org/x/oauth2.
//
// # Commands
//
// The methods of [Conn] are the commands of go-imap, and return as soon as the
// command is sent. Wait, Collect or Close of the result waits for the answer, so
// commands can be pipelined.
//
// A command has no time limit of its own, however long it takes to read or write
// a message; the limits of go-imap are turned off. It obeys the context of
// [Conn.Bind], which a pool's Do calls. IMAP can't cancel a command, so the end of
// the context ends the connection.
//
// Invalid commands fail without being sent, and the connection stays good: an empty
// set of messages, a FETCH or STATUS of nothing, options that are nil where some are
// needed, an invalid flag, or a MOVE that the server does not support.
//
// Whatever a holder leaves open does not reach the next one:
//
//	left open                          what happens
//	a command without a Wait           The driver waits for its answer.
//	a FETCH, STORE, LIST or EXPUNGE    The rest of the answer is read, for up to a second.
//	an IDLE                            It is ended.
//	an APPEND, or a short one          The connection is closed.
//	a selected mailbox                 It is unselected without expunging; see reset.
//
// [Conn.ResetSession] does this. [Conn.Ping] does it too, except for the mailbox,
// within the time of its context. Commands that change a connection permanently, such
// as LOGIN and ENABLE, have no methods: use the Config. COMPRESS and NOTIFY are
// missing because go-imap does not support them.
//
// # Errors
//
// Errors of the connection, which is then unusable, are driver.IsBad; errors of
// a command are not. An *imap.Error of go-imap of type NO or BAD is the server's
// answer to a command; one of type BYE comes from a server that has hung up. The last
// answer on a connection is both: if IsValid is false after a failed command, its
// error is driver.IsBad, unless only the credentials have expired.
//
// In errors, text from a server is escaped where it is not printable, and cut off
// after 1000 bytes. An *imap.Error has the original text, unless it may contain
// a secret.
//
// A failed Connect is driver.Permanent if the server would answer the same again. In
// a restart, a deploy, or behind a load balancer, a good server may fail in most of
// these ways for a moment. So such an error is at first driver.Throttled for two
// seconds, during which no login is tried. Then one goroutine tries, and if it fails
// in the same way, its error is permanent. Until a login succeeds, later errors of
// these kinds are permanent at once.
//
//	the server                                               permanent
//	refuses the password or the token                        at once; after a login has succeeded, the second time
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
// A NO or BAD that a server sends during a login, before its answer, is part of the
// error, and determines its class.
//
// driver.Full marks the answer of a server that has no room for another connection:
// the codes LIMIT and INUSE before the end of the login, and texts such as "Too many
// open connections" at any time. The pause is one second. Courier, when full, closes
// the connection without a message, which looks like an outage.
//
// driver.Throttled marks the answer of a server that wants fewer requests or logins,
// including the answer to a command. The pause is the one that the server asked for,
// up to five minutes, or else 30 seconds.
//
// A greeting of NO or BYE concerns the server or our address, never the credentials.
// Its code and text decide whether it is full, throttled or neither.
//
// Servers repeat input that they can't parse. So an error of a login leaves out the
// text of a BAD, and any other text that contains the password or the token.
//
// Servers slow down clients that log in with a wrong password. Dovecot delays the next
// good login from the same address by 4 to 15 seconds.
//
// # Servers
//
// The tests run the same suite against Dovecot 2.3 and Cyrus IMAP 3.6, and part of it
// against ProtonMail's gluon (internal/gluon). The first two differ for a client:
//
//	                      Dovecot                     Cyrus
//	wrong password        NO [AUTHENTICATIONFAILED]   NO, without a code
//	one login too many    NO [LIMIT]                  NO Too many open connections
//	session ended         BYE, then a close           a close
//	session crashed       no longer counted           counted in maxlogins_per_user forever
//
// Both refuse an APPEND to an unknown mailbox before they receive the message, which
// costs the connection.
//
// # Advice
//
// The driver advises a pool to use 4 connections, 2 logins at a time with 30 seconds
// for each, a NOOP after 4 minutes without use, 15 seconds for its answer, 10 minutes
// of idle time, and a lifetime of 4 hours, or of 25 minutes with a token. A pool also
// checks connections that were idle for a second (ValidateAfter), which costs a round
// trip. If requests are rare and may be repeated, increase it.
//
// # Goroutines
//
// A connection has one goroutine that reads, and another one during an IDLE or
// an EXPUNGE. All end with the connection, and Close waits for them. There are two
// locks, one of the command and one of the connection, locked in this order. The
// first is held while the command waits for the server; the second is never held
// across I/O.
package imap
