package imap

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/assert"
)

func TestAnswersOfOverloadedServers(t *testing.T) {
	type verdict struct {
		full      bool
		pause     time.Duration
		throttled bool
	}
	full := verdict{full: true, pause: limitPause, throttled: true}
	throttled := func(pause time.Duration) verdict { return verdict{pause: pause, throttled: true} }
	const beforeLogin, later = true, false
	for _, tc := range []struct {
		who, answer string
		beforeLogin bool
		want        verdict
	}{
		{"Dovecot", "NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", beforeLogin, full},
		{"Dovecot of Rackspace", "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=16)", beforeLogin, full},
		{"Dovecot 1", "NO [ALERT] Maximum number of connections from user+IP exceeded", beforeLogin, full},
		{"Dovecot before the login", "BYE Connection queue full", beforeLogin, full},
		{"Cyrus", "NO Too many open connections (3 of 3 for ada@example.org)", beforeLogin, full},
		{"Courier's log line, as a farewell", "BYE [ALERT] Maximum connection limit reached for 192.0.2.1", beforeLogin, full},
		{"Gmail", "NO [ALERT] Too many simultaneous connections. (Failure)", beforeLogin, full},
		{"Exchange, as in its other protocols", "NO You have exceeded the available concurrent connections for your account.", beforeLogin, full},
		{"Yahoo, by the code alone", "NO [LIMIT] LOGIN failed", beforeLogin, full},
		{"Stalwart", "BYE Too many concurrent IMAP connections.", beforeLogin, full},
		{"other servers at the greeting", "BYE Too many connections from your IP", beforeLogin, full},
		{"other servers, with advice", "BYE Too many connections, try again later", beforeLogin, full},
		{"a proxy", "BYE Connection limit exceeded", beforeLogin, full},
		{"a server with one session for each account", "NO [INUSE] Mailbox already in use", beforeLogin, full},
		{"a server that ends a session", "BYE [UNAVAILABLE] Too many sessions for this user", later, full},

		{"Yahoo, when there are many logins", "NO [LIMIT] LOGIN Rate limit hit", beforeLogin, throttled(defaultPause)},
		{"Exchange", "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", beforeLogin, throttled(92415 * time.Millisecond)},
		{"Exchange, of a command", "NO [LIMIT] Request is throttled. Suggested Backoff Time: 92415 milliseconds", later, throttled(92415 * time.Millisecond)},
		{"Exchange that exaggerates", "BAD Request is throttled. Suggested Backoff Time: 9999999 milliseconds", beforeLogin, throttled(longestPause)},
		{"Exchange with too large a number", "BAD Request is throttled. Suggested Backoff Time: 99999999999999999999 milliseconds", beforeLogin, throttled(defaultPause)},
		{"Exchange that has given up", "BAD User is authenticated but not connected.", later, throttled(defaultPause)},
		{"Gmail", "NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", beforeLogin, throttled(defaultPause)},
		{"Gmail, of a command", "NO [OVERQUOTA] Account exceeded command or bandwidth limits. p2mb1", later, throttled(defaultPause)},
		{"a server that counts connections by the minute", "BYE Too many connections per minute", beforeLogin, throttled(defaultPause)},
		{"a server that counts connections by attempts", "BYE Too many connection attempts", beforeLogin, throttled(defaultPause)},
		{"a server that locks accounts", "NO [LIMIT] Too many login attempts, try again later", beforeLogin, throttled(defaultPause)},
		{"a server that counts logins", "NO [LIMIT] LOGIN failed after 5 attempts", beforeLogin, throttled(defaultPause)},
		{"Stalwart", "BYE Too many authentication requests from this IP address.", beforeLogin, throttled(defaultPause)},
		{"Dovecot, after bad commands", "BYE Too many invalid IMAP commands.", later, throttled(defaultPause)},
		{"a server with a code for it", "NO [THROTTLED] later", later, throttled(defaultPause)},
		{"a server with a limit of flags", "NO [LIMIT] Too many flags", later, throttled(limitPause)},

		{"a server with a limit of names", "NO [LIMIT] The name is too long", later, verdict{}},
		{"a server with a locked mailbox", "NO [INUSE] locked", later, verdict{}},
		{"a server without a mailbox", "NO [NONEXISTENT] No mailbox Too many connections", later, verdict{}},
		{"a server without room for mail", "NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", later, verdict{}},
		{"a server that stops", "BYE Server shutting down.", beforeLogin, verdict{}},
		{"a server that has blocked our address", "NO Blocked by intrusion prevention", beforeLogin, throttled(defaultPause)},
		{"a server that is down", "NO [UNAVAILABLE] Temporary authentication failure.", beforeLogin, verdict{}},
		{"a server that knows no such user", "NO [AUTHENTICATIONFAILED] Authentication failed.", beforeLogin, verdict{}},
	} {
		kind, text, _ := strings.Cut(tc.answer, " ")
		var got verdict
		got.full, got.pause, got.throttled = overload(status(imap.StatusResponseType(kind), text), tc.beforeLogin)
		assert.Equal(t, tc.want, got, "%s says %s", tc.who, tc.answer)
	}
}
