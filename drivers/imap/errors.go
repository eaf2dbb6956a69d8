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
		return marked(fmt.Errorf("imap: %s on %s: %w", op, c.address, c.wire.hush(err)), answer, !c.wire.welcome.Load())
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
		err = marked(err, bye, !c.wire.welcome.Load())
	}
	return err
}

// marked marks err if answer, which is in it, says that the server is full or
// wants a pause. atDoor is whether we are not logged in yet.
func marked(err error, answer *imap.Error, atDoor bool) error {
	switch isFull, pause, ok := load(answer, atDoor); {
	case isFull:
		return driver.Full(err, pause)
	case ok:
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
	case imap.ResponseCodeUnavailable:
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

// The words of servers. They stand in answers with any code: Gmail's has ALERT
// or OVERQUOTA, those of Cyrus and Exchange have none.
var (
	// full matches what servers say that have no room for one more connection.
	full = regexp.MustCompile(`too many (?:\S+ ){0,3}(?:connections|sessions)\b|maximum (?:\S+ ){0,4}connections?\b|` +
		`connections? (?:limit|queue full)|exceeded (?:\S+ ){0,5}connections\b`)

	// paced matches what makes of that a wish to come more slowly.
	paced = regexp.MustCompile(`rate limit|throttled|suggested backoff|per (?:second|minute|hour|day)\b|attempts|` + overLimits)

	// busy are the words of servers that want less of us.
	busy = []string{"too many", "throttled", "rate limit", "try again later", "authenticated but not connected", overLimits}
)

// aboutNames are the codes of answers whose text may hold the name of
// a mailbox or of something else, in which words mean nothing.
var aboutNames = []imap.ResponseCode{
	imap.ResponseCodeNonExistent, imap.ResponseCodeTryCreate, imap.ResponseCodeAlreadyExists, imap.ResponseCodeNoPerm,
	imap.ResponseCodeCannot, imap.ResponseCodeOverQuota, imap.ResponseCodeBadCharset,
}

// load reads from an answer whether the server is full, or else whether it wants
// a pause, and how long to wait. atDoor is as for marked: at a login, LIMIT and
// INUSE are about the connection; later they are about a command.
func load(e *imap.Error, atDoor bool) (isFull bool, pause time.Duration, ok bool) {
	text := strings.ToLower(e.Text)
	has := func(words string) bool { return strings.Contains(text, words) }
	if slices.Contains(aboutNames, e.Code) && !has(overLimits) {
		return false, 0, false
	}
	noRoom := atDoor && (e.Code == imap.ResponseCodeLimit || e.Code == imap.ResponseCodeInUse)
	isPaced := paced.MatchString(text)
	switch {
	case !isPaced && (noRoom || full.MatchString(text)):
		return true, limitPause, true
	case !noRoom && e.Code != "THROTTLED" && !slices.ContainsFunc(busy, has):
		return false, 0, false
	case !isPaced && e.Code == imap.ResponseCodeLimit:
		return false, limitPause, true
	}
	if m := suggested.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 32); err == nil {
			return false, min(time.Duration(n)*time.Millisecond, longestPause), true
		}
	}
	return false, defaultPause, true
}

// suggested is how Exchange names the length of the pause.
var suggested = regexp.MustCompile(`suggested backoff time: (\d+) milliseconds`)

const (
	// limitPause is for a full server: what fills it may be connections of our
	// own that are just closing.
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
