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

// explain gives an error of go-imap its class, and adds the cause that go-imap dropped.
//
// An *imap.Error is an answer from the server: the connection stays good, unless it is
// lost. If the connection itself has failed, any other error is a consequence of that.
func (c *Conn) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	var answer *imap.Error
	answered := errors.As(err, &answer)
	if !answered && c.conn.Err() == nil {
		return fmt.Errorf("imap: %s: %w", op, c.wire.redact(err)) // the caller's fault
	}
	answers := c.wire.answersWith(answer)
	err = c.withCause(err, answer, answers)
	if c.lost() != nil {
		err = &lostError{op: op, address: c.address, err: err, answered: answered, unsent: !answered && c.sentNothing()}
	} else {
		err = &answerError{fmt.Errorf("imap: %s on %s: %w", op, c.address, err)}
	}
	return marked(err, !c.wire.loggedIn.Load(), answers...)
}

// withCause adds the server's other answers to err, an error of go-imap. If answer is
// nil, it also adds the reason why the connection ended. answers includes answer,
// unless that is nil.
func (c *Conn) withCause(err error, answer *imap.Error, answers []*imap.Error) error {
	why := c.conn.Err()
	switch {
	case answer != nil:
		err = c.wire.redact(err)
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		err = why // it says the same
	default:
		err = fmt.Errorf("%w: %w", c.wire.redact(err), why) // go-imap could not parse something
	}
	for _, other := range answers {
		switch {
		case other == answer:
		case answer != nil:
			err = fmt.Errorf("%w (the server also said %w)", err, c.wire.redact(other))
		default:
			err = fmt.Errorf("%w: %w", c.wire.redact(other), err)
		}
	}
	return err
}

// marked marks err if one of its answers says that the server is full or wants a pause.
// beforeLogin says that the login is not done yet.
func marked(err error, beforeLogin bool, answers ...*imap.Error) error {
	for _, answer := range answers {
		switch isFull, pause, ok := overload(answer, beforeLogin); {
		case isFull:
			return driver.Full(err, pause)
		case ok:
			return driver.Throttled(err, pause)
		case beforeLogin && answer.Code == imap.ResponseCodeUnavailable:
			return driver.Throttled(err, 0)
		}
	}
	return err
}

// answerError is the error of a command that the server refused.
type answerError struct{ error }

func (e *answerError) Unwrap() error { return e.error }

// BadConn makes the error driver.IsGood, so that the pool does not ping.
func (e *answerError) BadConn() bool { return false }

// lostError is the error of a command that failed because the connection did, or
// whose answer was the last on its connection.
type lostError struct {
	op, address string
	err         error
	answered    bool // the server answered the command
	unsent      bool // nothing was sent since the lease began
}

func (e *lostError) Error() string { return fmt.Sprintf("imap: %s on %s: %v", e.op, e.address, e.err) }
func (e *lostError) Unwrap() error { return e.err }

// BadConn makes the error driver.IsBad.
func (e *lostError) BadConn() bool { return true }

// SafeToRetry implements the method that driver.SafeToRetry calls.
func (e *lostError) SafeToRetry() bool { return e.unsent }

// sentNothing reports whether the lease has sent nothing. It uses the connection's
// current count, because the count in its error omits a Write in progress. (conn.Conn
// could restart its count for each lease, but it would also check the socket, and only
// go-imap's goroutine may do that.)
func (c *Conn) sentNothing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.Sent() == c.sentBefore
}

// refusal is an error of a server that refused the credentials. The connector's trust
// decides its class.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// doubtful is an error that means either a wrong Config or a server that is restarting.
// The connector's trust decides its class.
type doubtful struct{ error }

func (d doubtful) Unwrap() error { return d.error }

// refused turns err, the error of a login, into a refusal, unless its cause is
// temporary.
func refused(err error) error {
	var answer *imap.Error
	if isThrottled(err) || !errors.As(err, &answer) || hasCode(err, imap.ResponseCodeServerBug) {
		return err
	}
	return refusal{err}
}

// hasCode reports whether one of the answers in err has the code.
func hasCode(err error, code imap.ResponseCode) bool {
	switch e := err.(type) {
	case *imap.Error:
		return e.Code == code
	case interface{ Unwrap() error }:
		return hasCode(e.Unwrap(), code)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return hasCode(err, code) })
	}
	return false
}

// overLimits is part of Gmail's answer to clients that ask for too much.
const overLimits = "exceeded command or bandwidth limits"

// Texts that servers send. They come with any code: Gmail's has ALERT or OVERQUOTA,
// those of Cyrus and Exchange have none.
var (
	// full matches the text of a server that has no room for another connection.
	full = regexp.MustCompile(`too many (?:\S+ ){0,3}(?:connections|sessions)\b|maximum (?:\S+ ){0,4}connections?\b|` +
		`connections? (?:limit|queue full)|exceeded (?:\S+ ){0,5}connections\b`)

	// rateLimited matches words that turn such a text into a request to slow down.
	rateLimited = regexp.MustCompile(`rate limit|throttled|suggested backoff|per (?:second|minute|hour|day)\b|attempts|` + overLimits)

	// busy lists words of servers that want fewer requests.
	busy = []string{"too many", "throttled", "rate limit", "try again later", "authenticated but not connected", "intrusion prevention", overLimits}
)

// nameCodes are the codes of answers whose text may contain the name of a mailbox or
// the like, so words in it mean nothing.
var nameCodes = []imap.ResponseCode{
	imap.ResponseCodeNonExistent, imap.ResponseCodeTryCreate, imap.ResponseCodeAlreadyExists, imap.ResponseCodeNoPerm,
	imap.ResponseCodeCannot, imap.ResponseCodeOverQuota, imap.ResponseCodeBadCharset,
}

// overload reports whether an answer asks for a pause (ok) and how long, and whether
// that is because the server is full. beforeLogin is as for marked: before the end of
// the login, LIMIT and INUSE are about the connection; later they are about a command.
func overload(e *imap.Error, beforeLogin bool) (isFull bool, pause time.Duration, ok bool) {
	text := strings.ToLower(e.Text)
	has := func(words string) bool { return strings.Contains(text, words) }
	if slices.Contains(nameCodes, e.Code) && !has(overLimits) {
		return false, 0, false
	}
	noRoom := beforeLogin && (e.Code == imap.ResponseCodeLimit || e.Code == imap.ResponseCodeInUse)
	slowDown := rateLimited.MatchString(text)
	switch {
	case !slowDown && (noRoom || full.MatchString(text)):
		return true, limitPause, true
	case !noRoom && e.Code != "THROTTLED" && !slices.ContainsFunc(busy, has):
		return false, 0, false
	case !slowDown && e.Code == imap.ResponseCodeLimit:
		return false, limitPause, true
	}
	if m := suggestedPause.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 32); err == nil {
			return false, min(time.Duration(n)*time.Millisecond, longestPause), true
		}
	}
	return false, defaultPause, true
}

// suggestedPause matches the length of the pause in an answer of Exchange.
var suggestedPause = regexp.MustCompile(`suggested backoff time: (\d+) milliseconds`)

const (
	// limitPause is for a full server. The last room may be taken by connections
	// that we are closing.
	limitPause = time.Second
	// defaultPause is for servers that do not say how long. They usually count per
	// minute.
	defaultPause = 30 * time.Second
	// longestPause is the longest pause that we grant a server.
	longestPause = 5 * time.Minute
)

// badConn returns a driver.ErrBadConn with the reason why. It does not wrap why,
// because the class of why does not apply to the next request.
func badConn(why error) error {
	return fmt.Errorf("imap: %w: %v", driver.ErrBadConn, driver.QuoteError(why))
}
