package imap

import (
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// FetchCommand is a FETCH or STORE in progress. Read it to the end or Close it: until
// then, nothing else from the server is read.
type FetchCommand struct {
	s Stream[*imapclient.FetchMessageData]
}

func (c *Conn) fetch(name string, cmd parts[*imapclient.FetchMessageData]) *FetchCommand {
	f := &FetchCommand{s: Stream[*imapclient.FetchMessageData]{c: c, name: name, cmd: cmd}}
	c.track(&f.s)
	return f
}

// Next blocks until the next message begins to arrive and returns it, or nil if there
// are no more. Close then returns the error, if any. Next discards the unread rest of
// the previous message.
func (f *FetchCommand) Next() *FetchMessage {
	data := f.s.Next()
	if data == nil {
		return nil
	}
	return &FetchMessage{SeqNum: data.SeqNum, s: &f.s, data: data}
}

// Close reads and discards the rest, and returns the error of the command. It may be
// called again.
func (f *FetchCommand) Close() error { return f.s.Close() }

// Collect reads the remaining messages into memory and returns them and the error of
// the command.
func (f *FetchCommand) Collect() (all []*imapclient.FetchMessageBuffer, err error) {
	for m := f.Next(); m != nil; m = f.Next() {
		buffer, err := m.Collect()
		if err != nil {
			_ = f.Close()
			return all, err
		}
		all = append(all, buffer)
	}
	return all, f.Close()
}

// FetchMessage is a message that is arriving. It is valid until the next call of
// [FetchCommand.Next] or Close.
type FetchMessage struct {
	SeqNum uint32 // the number of the message in the mailbox

	s    *Stream[*imapclient.FetchMessageData]
	data *imapclient.FetchMessageData
}

// Next blocks until the next item of the message arrives and returns it, or nil if
// there are no more. Read a Literal in it before the next call, which discards the
// rest of it.
func (m *FetchMessage) Next() imapclient.FetchItemData {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.ended != nil {
		return nil
	}
	m.s.awaitClientLocked()
	switch item := m.data.Next().(type) {
	case imapclient.FetchItemDataBodySection:
		item.Literal = m.guard(item.Literal)
		return item
	case imapclient.FetchItemDataBinarySection:
		item.Literal = m.guard(item.Literal)
		return item
	default:
		return item
	}
}

// Collect reads the remaining items into memory and returns them.
func (m *FetchMessage) Collect() (*imapclient.FetchMessageBuffer, error) {
	buffer := &imapclient.FetchMessageBuffer{SeqNum: m.SeqNum}
	for item := m.Next(); item != nil; item = m.Next() {
		if err := collect(buffer, item); err != nil {
			return nil, err
		}
	}
	return buffer, nil
}

// collect adds item to buffer. go-imap's own function goes on reading after an error,
// concurrently with another goroutine.
func collect(buffer *imapclient.FetchMessageBuffer, item imapclient.FetchItemData) error {
	switch item := item.(type) {
	case imapclient.FetchItemDataBodySection:
		text, err := readAll(item.Literal)
		buffer.BodySection = append(buffer.BodySection, imapclient.FetchBodySectionBuffer{Section: item.Section, Bytes: text})
		return err
	case imapclient.FetchItemDataBinarySection:
		text, err := readAll(item.Literal)
		buffer.BinarySection = append(buffer.BinarySection, imapclient.FetchBinarySectionBuffer{Section: item.Section, Bytes: text})
		return err
	case imapclient.FetchItemDataFlags:
		buffer.Flags = item.Flags
	case imapclient.FetchItemDataEnvelope:
		buffer.Envelope = item.Envelope
	case imapclient.FetchItemDataInternalDate:
		buffer.InternalDate = item.Time
	case imapclient.FetchItemDataRFC822Size:
		buffer.RFC822Size = item.Size
	case imapclient.FetchItemDataUID:
		buffer.UID = item.UID
	case imapclient.FetchItemDataBodyStructure:
		buffer.BodyStructure = item.BodyStructure
	case imapclient.FetchItemDataBinarySectionSize:
		buffer.BinarySectionSize = append(buffer.BinarySectionSize, item)
	case imapclient.FetchItemDataModSeq:
		buffer.ModSeq = item.ModSeq
	}
	return nil
}

func readAll(r imap.LiteralReader) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	return io.ReadAll(r)
}

func (m *FetchMessage) guard(r imap.LiteralReader) imap.LiteralReader {
	if r == nil {
		return nil
	}
	return &literal{LiteralReader: r, s: m.s, left: r.Size()}
}

// literal makes a literal of go-imap safe: it is never read by two goroutines at
// a time, nor after an error. It also distinguishes its own end from the end of the
// connection.
type literal struct {
	imap.LiteralReader
	s    *Stream[*imapclient.FetchMessageData]
	left int64
	err  error
}

// Read returns bytes of the literal. If the connection ends before the literal does,
// the error is not io.EOF.
func (l *literal) Read(b []byte) (n int, err error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.ended != nil && l.left > 0 {
		return 0, l.s.c.explain(l.s.name, l.s.ended)
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err = l.LiteralReader.Read(b)
	l.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && l.left <= 0:
		l.err = io.EOF
		return n, io.EOF
	}
	l.s.broken = true
	_ = l.s.c.conn.Close() // so that the client ends
	l.err = l.s.c.explain(l.s.name, err)
	return n, l.err
}
