// Package imap is the driver for mail servers, on go-imap
// (github.com/emersion/go-imap/v2) and on drivers/tls. Importing it registers
// "imap" and "imaps".
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
// imaps is TLS from the first byte, on port 993 unless the DSN names another.
// imap is TLS by STARTTLS, on port 143, and fails where the server has none.
// The mailbox may be left out; else it is selected in each connection that is
// handed out. In user and password, percent-encode all but letters and digits.
//
// The parameters are those of drivers/tcp (but ping and pong), those of
// drivers/tls, and:
//
//	name           type  default   meaning
//	tls            word  starttls  of imap only: starttls, or none for plain text
//	auth           word  best      mechanism: SCRAM-SHA-256, PLAIN, LOGIN, OAUTHBEARER, XOAUTH2 or EXTERNAL
//	authzid        text  none      user to act as, if that is not the one who logs in
//	insecure_auth  bool  false     let a secret go over plain text to another host
//	readonly       bool  false     select the mailbox by EXAMINE
//	reset          word  unselect  what becomes of a connection where another mailbox was selected: unselect, keep or discard
//	id             text  hotline   name that is told to a server that wants to know; empty: none
//	enable         list  none      what to ENABLE where the server has it, with commas: UTF8=ACCEPT and others
//	srv            bool  false     the host is a domain; its servers are in the DNS (RFC 6186)
//	trace          bool  false     print what is said, but for secrets and mail, to standard error
//
// What a string can't carry is a field of [Config]; [ParseDSN] makes one of a
// DSN and [NewConnector] a connector of that.
//
// # Login
//
// Without auth, a password goes by PLAIN, LOGIN or SCRAM-SHA-256 over TLS, the
// first that the server has, and by SCRAM-SHA-256, PLAIN or LOGIN over plain
// text. A token goes by OAUTHBEARER or XOAUTH2. A client certificate without a
// password goes by EXTERNAL. A secret is sent over plain text to this machine
// alone, which is localhost or a loopback address without a proxy, unless
// insecure_auth is given. SCRAM takes the password as it is, without SASLprep.
//
// The context of Connect bounds all of it, the look-up and the handshake
// included, so there are no timeouts in the DSN. The farewell of Close has two
// seconds. A server that sends more than 64 KiB before the login is done is
// left.
//
// Where a token ends after an hour, Config.Credentials returns one for each
// connect. A connection whose token has ended is not lent again, and [Watch]
// leaves it within four minutes. An example of Config has its tokens from
// golang.org/x/oauth2.
//
// # Commands
//
// The methods of [Conn] are the commands of go-imap, and return as soon as the
// command is sent. Wait, Collect or Close of what they return waits for the
// answer, so commands can be sent one behind the other.
//
// A command has no time limit of its own, however long a message takes to be
// read or written; those of go-imap are switched off. It obeys the context of
// [Conn.Bind], which a pool's Do calls. IMAP can't take a command back, so
// a context that ends ends the connection.
//
// An empty set of messages, a flag that is none, and a MOVE that the server
// does not have are refused without being sent, and the connection lives on.
//
// What its holder leaves open does not reach the next one:
//
//	left open                          what becomes of it
//	a command without a Wait           its answer is awaited
//	a FETCH, STORE, LIST or EXPUNGE    what is left of the answer is read, for a second at most
//	an IDLE                            it is ended
//	an APPEND, or one that was short   the connection is closed
//	a mailbox that is selected         it is left, without expunging; see reset
//
// All of that happens in [Conn.ResetSession]. [Conn.Ping] does it as well, but
// for the mailbox, in the time that its context has. What changes the connection
// for good has no method: LOGIN, ENABLE and the like are for the Config.
// COMPRESS and NOTIFY are not there because go-imap does not have them.
//
// # Errors
//
// driver.IsBad tells errors of the connection, which is then of no more use,
// from those of a command. An *imap.Error of go-imap of type NO or BAD is the
// server's answer to a command; one of type BYE is the farewell of a server
// that has hung up.
//
// Of a failed Connect, driver.Permanent marks what the server will say again: a
// wrong password or token, no way to log in, no such mailbox, a certificate
// that is not good.
//
// driver.Full marks the answer of a server that has no room for one more
// connection: the codes LIMIT and INUSE before the end of the login, and texts
// such as "Too many open connections" at any time. The pause is one second.
// Courier closes the connection without a word where others say that they are
// full; that looks like an outage.
//
// driver.Throttled marks the answer of a server that wants fewer requests or
// logins, also to a command. The pause is the one that the server has named,
// five minutes at most, or 30 seconds.
//
// A server that is being stopped may refuse a good password: Dovecot does. So
// the first refusal of what was accepted before is driver.Throttled. For two
// seconds nobody logs in then, and one goroutine after that; if it is refused
// too, that is permanent.
//
// Servers repeat what they could not parse. So an error of a login leaves out
// the text of a BAD, and any other that has the password or the token in it.
//
// Servers slow down those who log in with a wrong password. Dovecot answers
// the next right one, from the same address, after 4 to 15 seconds.
//
// # Servers
//
// The tests run the same suite on Dovecot 2.3 and on Cyrus IMAP 3.6. What a
// client sees of the difference:
//
//	                      Dovecot                     Cyrus
//	wrong password        NO [AUTHENTICATIONFAILED]   NO, without a code
//	one login too many    NO [LIMIT]                  NO Too many open connections
//	session that is ended BYE, then the end           the end
//	session that crashed  forgotten                   counts against maxlogins_per_user for good
//
// Both refuse an APPEND to a mailbox that is not there before the message has
// come, which costs the connection.
//
// # Advice
//
// To a pool, the driver recommends 4 connections, 2 logins at a time with 30
// seconds for each, a NOOP after 4 minutes without use, 15 seconds for its
// answer, 10 minutes of idleness and a life of 4 hours, or of 25 minutes with
// a token. A pool also checks what was idle for a second (ValidateAfter), which
// costs a round trip; where requests are rare and may be repeated, make it
// longer.
//
// # Goroutines
//
// A connection has one goroutine, which reads, and another one during IDLE and
// while the end of an EXPUNGE is awaited. All end with the connection, which
// Close waits for. There are two locks, of the command and of the connection,
// locked in this order; the first is held while the command waits for the
// server, the second never.
package imap
