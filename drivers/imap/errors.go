package imap

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// explain gives an error of go-imap its class, and the cause that go-imap has
// cut off.
//
// An *imap.Error is an answer of the server: the connection lives on. All
// else, once the connection has an error itself, is that error.
func (c *Conn) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	var answer *imap.Error
	if errors.As(err, &answer) {
		return slowed(fmt.Errorf("imap: %s on %s: %w", op, c.address, c.wire.hush(err)), answer)
	}
	why := c.conn.Err()
	if why == nil {
		return fmt.Errorf("imap: %s: %w", op, c.wire.hush(err)) // a mistake of the caller
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = why // which says as much
	} else {
		err = fmt.Errorf("%w: %w", c.wire.hush(err), why) // what go-imap could not read
	}
	bye := c.wire.bye()
	if bye != nil {
		err = fmt.Errorf("%w: %w", c.wire.hush(bye), err)
	}
	err = &lostError{op: op, address: c.address, err: err, unsent: c.sentNothing()}
	if bye != nil {
		err = slowed(err, bye)
	}
	return err
}

// slowed marks err if the answer in it wants a pause.
func slowed(err error, answer *imap.Error) error {
	if pause, ok := throttled(answer); ok {
		return driver.Throttled(err, pause)
	}
	return err
}

// lostError is a command that failed because the connection did.
type lostError struct {
	op, address string
	err         error
	unsent      bool // nothing was sent since the lease began
}

func (e *lostError) Error() string { return fmt.Sprintf("imap: %s on %s: %v", e.op, e.address, e.err) }
func (e *lostError) Unwrap() error { return e.err }

// BadConn is what driver.IsBad asks.
func (e *lostError) BadConn() bool { return true }

// SafeToRetry is what driver.SafeToRetry asks.
func (e *lostError) SafeToRetry() bool { return e.unsent }

// sentNothing reports whether the lease has sent nothing. It asks the
// connection as it is now: its error does not count a Write that was under way.
// (conn.Conn could count anew with each lease, but only together with a look
// at the socket, which is for go-imap's goroutine alone.)
func (c *Conn) sentNothing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Sent() == c.sentBefore
}

// refusal is an error that says: not with these credentials. The trust of the
// connector gives it its class.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// atLogin gives an error of the greeting or of the login, which explain has
// seen, its class.
func atLogin(err error) error {
	var answer *imap.Error
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	if _, ok := driver.RetryAfter(err); ok {
		return err
	}
	switch answer.Code {
	case imap.ResponseCodeLimit:
		return driver.Throttled(err, limitPause)
	case imap.ResponseCodeUnavailable, imap.ResponseCodeInUse:
		return driver.Throttled(err, 0)
	case imap.ResponseCodeServerBug:
		return err
	}
	if answer.Type == imap.StatusResponseTypeBye {
		return err // a server that shuts down, or one that is too busy to say why
	}
	return refusal{err}
}

// overLimits is what Gmail says to those that want too much of it.
const overLimits = "exceeded command or bandwidth limits"

// full are the words of servers whose account has all its connections, and
// busy of those that want less of us. They stand in answers with any code:
// Gmail's has ALERT or OVERQUOTA, those of Cyrus and Exchange have none.
var (
	full = []string{"too many open connections", "maximum number of connections"}
	busy = []string{"too many", "throttled", "rate limit", "try again later", "authenticated but not connected", overLimits}
)

// aboutNames are the codes of answers whose text may hold the name of
// a mailbox or of something else, in which words mean nothing.
var aboutNames = []imap.ResponseCode{
	imap.ResponseCodeNonExistent, imap.ResponseCodeTryCreate, imap.ResponseCodeAlreadyExists, imap.ResponseCodeNoPerm,
	imap.ResponseCodeCannot, imap.ResponseCodeOverQuota, imap.ResponseCodeBadCharset,
}

// throttled reports whether the server wants a pause, and how long.
func throttled(e *imap.Error) (pause time.Duration, ok bool) {
	text := strings.ToLower(e.Text)
	has := func(words string) bool { return strings.Contains(text, words) }
	if slices.Contains(aboutNames, e.Code) && !has(overLimits) {
		return 0, false
	}
	isBusy := e.Code == "THROTTLED" || slices.ContainsFunc(busy, has)
	if slices.ContainsFunc(full, has) || isBusy && e.Code == imap.ResponseCodeLimit {
		return limitPause, true
	}
	if !isBusy {
		return 0, false
	}
	if m := suggested.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 32); err == nil {
			return min(time.Duration(n)*time.Millisecond, longestPause), true
		}
	}
	return defaultPause, true
}

// suggested is how Exchange names the length of the pause.
var suggested = regexp.MustCompile(`suggested backoff time: (\d+) milliseconds`)

const (
	// limitPause is for a full account: what fills it may be connections of
	// our own that are just closing.
	limitPause = time.Second
	// defaultPause is for servers that name no length: they count by minutes.
	defaultPause = 30 * time.Second
	// longestPause is for those that exaggerate.
	longestPause = 5 * time.Minute
)

// badConn is a driver.ErrBadConn because of why, which nobody may take for the
// fate of the next request.
func badConn(why error) error {
	return fmt.Errorf("imap: %w: %v", driver.ErrBadConn, why)
}
