package imap

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// go-imap finds a mistake of the caller while it sends the command. Then it
// closes the connection, which looks like a loss that may be retried, or it
// leaves the command out and sends the message of an APPEND all the same, as if
// its lines were commands. So these mistakes are found before.

// unsent is what go-imap returns for a command, of one that is not sent.
type unsent[T any] struct{ mistake error }

// Wait returns the mistake.
func (u unsent[T]) Wait() (none T, err error) { return none, u.mistake }

// Next returns the end.
func (u unsent[T]) Next() (none T) { return none }

// Write returns the mistake.
func (u unsent[T]) Write([]byte) (int, error) { return 0, u.mistake }

// Close returns the mistake.
func (u unsent[T]) Close() error { return u.mistake }

var (
	errNoMessages = errors.New("the set of messages is empty")
	errNoSection  = errors.New("one of the sections to fetch is nil")
	errNoCriteria = errors.New("there are no search criteria")
	errNoMove     = fmt.Errorf(`the server has no MOVE: Copy the messages, and then Store \Deleted and Expunge them: %w`, errors.ErrUnsupported)
)

// checkSet returns what is wrong with set, or nil.
func checkSet(set imap.NumSet) error {
	switch set.(type) {
	case imap.SeqSet, imap.UIDSet:
		if set.String() == "" {
			return errNoMessages
		}
		return nil
	}
	return fmt.Errorf("%T is no set of messages: want imap.SeqSet or imap.UIDSet", set)
}

// checkItems returns what is wrong with options, or nil.
func checkItems(options *imap.FetchOptions) error {
	if options == nil {
		return nil
	}
	if slices.Contains(options.BodySection, nil) || slices.Contains(options.BinarySection, nil) || slices.Contains(options.BinarySectionSize, nil) {
		return errNoSection
	}
	return nil
}

// checkFlags returns what is wrong with flags, or nil. A flag is an atom, with
// a backslash or without one.
func checkFlags(flags []imap.Flag) error {
	for _, flag := range flags {
		atom := strings.TrimPrefix(string(flag), `\`)
		if atom == "" || strings.ContainsFunc(atom, notOfAtom) {
			return fmt.Errorf("%q is no flag", flag)
		}
	}
	return nil
}

// notOfAtom reports whether r has no place in an atom.
func notOfAtom(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
}

// checkCriteria returns what is wrong with criteria, or nil.
func checkCriteria(criteria *imap.SearchCriteria) error {
	if criteria == nil {
		return errNoCriteria
	}
	err := cmp.Or(checkFlags(criteria.Flag), checkFlags(criteria.NotFlag))
	for _, set := range criteria.SeqNum {
		err = cmp.Or(err, checkSet(set))
	}
	for _, set := range criteria.UID {
		err = cmp.Or(err, checkSet(set))
	}
	for _, not := range criteria.Not {
		err = cmp.Or(err, checkCriteria(&not))
	}
	for _, or := range criteria.Or {
		err = cmp.Or(err, checkCriteria(&or[0]), checkCriteria(&or[1]))
	}
	return err
}

// checkStore returns what is wrong with store, or nil.
func checkStore(store *imap.StoreFlags) error {
	if store == nil {
		return errors.New("there are no flags to store")
	}
	switch store.Op {
	case imap.StoreFlagsSet, imap.StoreFlagsAdd, imap.StoreFlagsDel:
		return checkFlags(store.Flags)
	}
	return fmt.Errorf("there is no operation %d on flags", store.Op)
}

// maxName is how many bytes the name of a mailbox may have that a message is
// appended to. On the wire they are five times as many at most. With more than
// 4096 the name would be a literal, and the server may refuse that, upon which
// go-imap sends the message.
const maxName = 800

// checkAppend returns what is wrong with an APPEND, or nil.
func checkAppend(mailbox string, size int64, options *imap.AppendOptions) error {
	switch {
	case len(mailbox) > maxName:
		return fmt.Errorf("the name of the mailbox has %d bytes: want %d at most", len(mailbox), maxName)
	case size < 0:
		return fmt.Errorf("a message of %d bytes", size)
	case options == nil:
		return nil
	}
	return checkFlags(options.Flags)
}
