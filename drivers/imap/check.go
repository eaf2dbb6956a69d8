package imap

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// go-imap finds invalid arguments only while it sends the command. Then it closes the
// connection, which looks like a lost connection and so like a reason to retry; or it
// omits the command but still sends the message of an APPEND, whose lines the server
// takes for commands. So the functions below check the arguments first. They return the
// fault, or nil.

// unsent stands for a command that was not sent, because of err.
type unsent[T any] struct{ err error }

// Wait returns the error.
func (u unsent[T]) Wait() (none T, err error) { return none, u.err }

// Next returns the zero value, which ends the answer.
func (u unsent[T]) Next() (none T) { return none }

// Write returns the error.
func (u unsent[T]) Write([]byte) (int, error) { return 0, u.err }

// Close returns the error.
func (u unsent[T]) Close() error { return u.err }

var (
	errNoMessages = errors.New("the set of messages is empty")
	errNoItems    = errors.New("there is nothing to fetch: set a field of the options")
	errNoSection  = errors.New("one of the sections to fetch is nil")
	errNoStatus   = errors.New("there is nothing to ask for: set a field of the options")
	errNoCriteria = errors.New("there are no search criteria")
	errNoEntries  = errors.New("there are no entries")
	errNoMove     = fmt.Errorf(`the server does not support MOVE: Copy the messages, then Store \Deleted and Expunge them: %w`, errors.ErrUnsupported)
)

// checkSet checks a set of messages.
func checkSet(set imap.NumSet) error {
	switch set.(type) {
	case imap.SeqSet, imap.UIDSet:
		if set.String() == "" {
			return errNoMessages
		}
		return nil
	}
	return fmt.Errorf("%T is not a set of messages: want imap.SeqSet or imap.UIDSet", set)
}

// checkFetch checks a FETCH. A FETCH by UID needs no options: it always fetches the
// UIDs.
func checkFetch(set imap.NumSet, options *imap.FetchOptions) error {
	if err := checkSet(set); err != nil {
		return err
	}
	if options == nil {
		options = &imap.FetchOptions{}
	}
	_, byUID := set.(imap.UIDSet)
	o := *options
	flags := o.Envelope || o.Flags || o.InternalDate || o.RFC822Size || o.UID || o.ModSeq || byUID
	if !flags && o.BodyStructure == nil && len(o.BodySection)+len(o.BinarySection)+len(o.BinarySectionSize) == 0 {
		return errNoItems
	}
	return checkSections(options)
}

// checkSections checks the sections of options.
func checkSections(options *imap.FetchOptions) (err error) {
	for _, s := range options.BodySection {
		if s == nil {
			return errNoSection
		}
		err = cmp.Or(err, checkSpecifier(s), checkPart(s.Part), checkPartial(s.Partial))
	}
	for _, s := range options.BinarySection {
		if s == nil {
			return errNoSection
		}
		err = cmp.Or(err, checkPart(s.Part), checkPartial(s.Partial))
	}
	for _, s := range options.BinarySectionSize {
		if s == nil {
			return errNoSection
		}
		err = cmp.Or(err, checkPart(s.Part))
	}
	return err
}

// checkSpecifier checks the specifier of s.
func checkSpecifier(s *imap.FetchItemBodySection) error {
	fields := len(s.HeaderFields)+len(s.HeaderFieldsNot) > 0
	switch s.Specifier {
	case imap.PartSpecifierHeader:
		return nil
	case imap.PartSpecifierMIME:
		if len(s.Part) == 0 {
			return errors.New("section MIME: want the number of a part too")
		}
	case imap.PartSpecifierNone, imap.PartSpecifierText:
	default:
		return fmt.Errorf("section %q: want HEADER, MIME, TEXT or nothing", s.Specifier)
	}
	if fields {
		return fmt.Errorf("header fields of section %q: want HEADER", s.Specifier)
	}
	return nil
}

// checkPart checks the number of a part.
func checkPart(part []int) error {
	for _, n := range part {
		if n <= 0 {
			return fmt.Errorf("part %d: want a number above zero", n)
		}
	}
	return nil
}

// checkPartial checks a range of bytes.
func checkPartial(r *imap.SectionPartial) error {
	if r != nil && (r.Offset < 0 || r.Size <= 0) {
		return fmt.Errorf("%d bytes from byte %d: want at least one byte, from byte zero or later", r.Size, r.Offset)
	}
	return nil
}

// checkStatus checks the options of a STATUS. go-imap panics if NumRecent is set.
func checkStatus(options *imap.StatusOptions) error {
	switch {
	case options == nil || *options == imap.StatusOptions{}:
		return errNoStatus
	case options.NumRecent:
		return errors.New("NumRecent: want false; the client can't read the answer")
	}
	return nil
}

// checkList checks the options of a LIST.
func checkList(options *imap.ListOptions) error {
	if options == nil || options.ReturnStatus == nil {
		return nil
	}
	return checkStatus(options.ReturnStatus)
}

// checkSort checks the options of a SORT.
func checkSort(options *imapclient.SortOptions) error {
	if options == nil {
		return errNoCriteria
	}
	if len(options.SortCriteria) == 0 {
		return errors.New("there is no sort key")
	}
	for _, by := range options.SortCriteria {
		if !isAtom(string(by.Key)) {
			return fmt.Errorf("%q is not a sort key", by.Key)
		}
	}
	return checkCriteria(options.SearchCriteria)
}

// checkThread checks the options of a THREAD.
func checkThread(options *imapclient.ThreadOptions) error {
	if options == nil {
		return errNoCriteria
	}
	if !isAtom(string(options.Algorithm)) {
		return fmt.Errorf("%q is not a threading algorithm", options.Algorithm)
	}
	return checkCriteria(options.SearchCriteria)
}

// checkMetadata checks a GETMETADATA. go-imap panics at a depth that is not one of
// these three.
func checkMetadata(entries []string, options *imapclient.GetMetadataOptions) error {
	if len(entries) == 0 {
		return errNoEntries
	}
	if options == nil {
		return nil
	}
	switch options.Depth {
	case imapclient.GetMetadataDepthZero, imapclient.GetMetadataDepthOne, imapclient.GetMetadataDepthInfinity:
		return nil
	}
	return fmt.Errorf("depth %d: want 0, 1, or -1 for all", options.Depth)
}

// checkLimits checks the limits of a SETQUOTA.
func checkLimits(limits map[imap.QuotaResourceType]int64) error {
	for resource, limit := range limits {
		if !isAtom(string(resource)) || limit < 0 {
			return fmt.Errorf("quota %q of %d: want a name and a limit of at least zero", resource, limit)
		}
	}
	return nil
}

// checkCreate checks the options of a CREATE.
func checkCreate(options *imap.CreateOptions) error {
	if options == nil {
		return nil
	}
	for _, use := range options.SpecialUse {
		if name, ok := strings.CutPrefix(string(use), `\`); !ok || !isAtom(name) {
			return fmt.Errorf(`%q is not a special use: want one such as \Sent`, use)
		}
	}
	return nil
}

// checkID checks the argument of an ID.
func checkID(id *imap.IDData) error {
	if fields := unprintable(id); len(fields) > 0 {
		return fmt.Errorf("id %s: want printable ASCII", strings.Join(fields, ", "))
	}
	return nil
}

// unprintable returns the fields of id that are not printable ASCII. go-imap quotes
// them without escaping, so a line end would end the command.
func unprintable(id *imap.IDData) (fields []string) {
	if id == nil {
		return nil
	}
	for v, i := reflect.ValueOf(*id), 0; i < v.NumField(); i++ {
		if strings.ContainsFunc(v.Field(i).String(), notPrintable) {
			fields = append(fields, v.Type().Field(i).Name)
		}
	}
	return fields
}

// checkFlags checks flags. A flag is an atom, with or without a backslash before it.
func checkFlags(flags []imap.Flag) error {
	for _, flag := range flags {
		if !isAtom(strings.TrimPrefix(string(flag), `\`)) {
			return fmt.Errorf("%q is not a flag", flag)
		}
	}
	return nil
}

// isAtom reports whether s is an atom.
func isAtom(s string) bool { return s != "" && !strings.ContainsFunc(s, notInAtom) }

// notInAtom reports whether an atom can't contain r.
func notInAtom(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
}

// checkCriteria checks search criteria.
func checkCriteria(criteria *imap.SearchCriteria) error {
	if criteria == nil {
		return errNoCriteria
	}
	err := cmp.Or(checkFlags(criteria.Flag), checkFlags(criteria.NotFlag), checkModSeq(criteria.ModSeq))
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

// checkModSeq checks a modification sequence. go-imap quotes its name without
// escaping.
func checkModSeq(m *imap.SearchCriteriaModSeq) error {
	if m != nil && (strings.ContainsFunc(m.MetadataName, notPrintable) || m.MetadataType != "" && !isAtom(string(m.MetadataType))) {
		return fmt.Errorf("modseq of %q, %q: want printable ASCII and an atom", m.MetadataName, m.MetadataType)
	}
	return nil
}

// checkStore checks the flags of a STORE.
func checkStore(store *imap.StoreFlags) error {
	if store == nil {
		return errors.New("there are no flags to store")
	}
	switch store.Op {
	case imap.StoreFlagsSet, imap.StoreFlagsAdd, imap.StoreFlagsDel:
		return checkFlags(store.Flags)
	}
	return fmt.Errorf("%d is not an operation on flags", store.Op)
}

// maxName is the maximum length of a mailbox name in an APPEND, in bytes. The encoding
// for the wire makes a name at most five times as long, and go-imap sends a name of
// more than 4096 bytes as a literal. If the server refused that literal, go-imap would
// still send the message.
const maxName = 800

// checkAppend checks an APPEND.
func checkAppend(mailbox string, size int64, options *imap.AppendOptions) error {
	switch {
	case len(mailbox) > maxName:
		return fmt.Errorf("mailbox name of %d bytes: want at most %d", len(mailbox), maxName)
	case size < 0:
		return fmt.Errorf("a message of %d bytes: want at least zero", size)
	case options == nil:
		return nil
	}
	return checkFlags(options.Flags)
}
