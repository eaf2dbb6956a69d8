package imap

import (
	"cmp"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Caps returns the capabilities of the server, without I/O. Don't change the set.
func (c *Conn) Caps() imap.CapSet { return c.client.Caps() }

// Mailbox returns the name of the selected mailbox, or the empty string if there is
// none. It takes a new selection into account once somebody has waited for the answer.
// [Conn.Updates] reports changes in the mailbox.
func (c *Conn) Mailbox() string { return c.selection().mailbox }

// Mechanism returns how the connection logged in: LOGIN, PREAUTH, or the name of
// a SASL mechanism.
func (c *Conn) Mechanism() string { return c.mechanism }

// Select sends a SELECT command, or EXAMINE if the option ReadOnly is set. The options
// may be nil.
func (c *Conn) Select(mailbox string, options *imap.SelectOptions) *Query[*imap.SelectData] {
	c.renumber()
	selected := c.selecting(selection{mailbox, options != nil && options.ReadOnly})
	cmd := c.client.Select(mailbox, options)
	return query(c, "SELECT", waiter[*imap.SelectData](func() (*imap.SelectData, error) {
		data, err := cmd.Wait()
		selected(err)
		return data, err
	}))
}

// Unselect sends an UNSELECT command, which leaves the mailbox without removing
// messages. The server must support it.
func (c *Conn) Unselect() *Command { return c.leave("UNSELECT", c.client.Unselect) }

// UnselectAndExpunge sends a CLOSE command, which leaves the mailbox and removes the
// messages marked as deleted.
func (c *Conn) UnselectAndExpunge() *Command { return c.leave("CLOSE", c.client.UnselectAndExpunge) }

func (c *Conn) leave(name string, send func() *imapclient.Command) *Command {
	left := c.selecting(selection{})
	cmd := send()
	return c.command(name, waiter0(func() error {
		err := cmd.Wait()
		left(err)
		return err
	}))
}

// Fetch sends a FETCH command, or UID FETCH for a set of UIDs. The options say what
// to fetch. With UIDs they may be nil, which fetches only the UIDs.
func (c *Conn) Fetch(numSet imap.NumSet, options *imap.FetchOptions) *FetchCommand {
	if err := checkFetch(numSet, options); err != nil {
		return c.fetch("FETCH", unsent[*imapclient.FetchMessageData]{err})
	}
	return c.fetch("FETCH", c.client.Fetch(numSet, options))
}

// Store sends a STORE command, or UID STORE for a set of UIDs. Unless store.Silent is
// set, the answer contains the new flags. The options may be nil.
func (c *Conn) Store(numSet imap.NumSet, store *imap.StoreFlags, options *imap.StoreOptions) *FetchCommand {
	if err := cmp.Or(checkSet(numSet), checkStore(store)); err != nil {
		return c.fetch("STORE", unsent[*imapclient.FetchMessageData]{err})
	}
	return c.fetch("STORE", c.client.Store(numSet, store, options))
}

// List sends a LIST command. Read the answer to the end or Close it. The options may
// be nil; otherwise the server must support LIST-EXTENDED.
func (c *Conn) List(ref, pattern string, options *imap.ListOptions) *Stream[*imap.ListData] {
	if err := checkList(options); err != nil {
		return stream(c, "LIST", unsent[*imap.ListData]{err})
	}
	return stream(c, "LIST", c.client.List(ref, pattern, options))
}

// Expunge sends an EXPUNGE command, which removes the messages marked as deleted. The
// answer contains their numbers. Read it to the end or Close it.
func (c *Conn) Expunge() *Stream[uint32] {
	c.renumber()
	return stream(c, "EXPUNGE", expunge{c.client.Expunge()})
}

// UIDExpunge is like Expunge, but removes only messages in uids. The server must
// support UIDPLUS.
func (c *Conn) UIDExpunge(uids imap.UIDSet) *Stream[uint32] {
	if err := checkSet(uids); err != nil {
		return stream(c, "UID EXPUNGE", unsent[uint32]{err})
	}
	c.renumber()
	return stream(c, "UID EXPUNGE", expunge{c.client.UIDExpunge(uids)})
}

// Capability sends a CAPABILITY command. [Conn.Caps] returns the last known answer,
// without I/O.
func (c *Conn) Capability() *Query[imap.CapSet] {
	return query(c, "CAPABILITY", c.client.Capability())
}

// Namespace sends a NAMESPACE command. The server must support it.
func (c *Conn) Namespace() *Query[*imap.NamespaceData] {
	return query(c, "NAMESPACE", c.client.Namespace())
}

// ID sends an ID command, which exchanges names with the server. The server must
// support it. Connect has already sent one; see Config.ID. data must be printable
// ASCII, or nil.
func (c *Conn) ID(data *imap.IDData) *Query[*imap.IDData] {
	return checkedQuery(c, "ID", checkID(data), func() answer[*imap.IDData] { return c.client.ID(data) })
}

// Status sends a STATUS command, for a mailbox that is not selected. The options say
// what to ask for.
func (c *Conn) Status(mailbox string, options *imap.StatusOptions) *Query[*imap.StatusData] {
	return checkedQuery(c, "STATUS", checkStatus(options), func() answer[*imap.StatusData] { return c.client.Status(mailbox, options) })
}

// Search sends a SEARCH command, which finds message numbers. The options may be nil.
func (c *Conn) Search(criteria *imap.SearchCriteria, options *imap.SearchOptions) *Query[*imap.SearchData] {
	return checkedQuery(c, "SEARCH", checkCriteria(criteria), func() answer[*imap.SearchData] { return c.client.Search(criteria, options) })
}

// UIDSearch sends a UID SEARCH command, which finds UIDs. The options may be nil.
func (c *Conn) UIDSearch(criteria *imap.SearchCriteria, options *imap.SearchOptions) *Query[*imap.SearchData] {
	return checkedQuery(c, "UID SEARCH", checkCriteria(criteria), func() answer[*imap.SearchData] { return c.client.UIDSearch(criteria, options) })
}

// Sort sends a SORT command. The server must support SORT.
func (c *Conn) Sort(options *imapclient.SortOptions) *Query[[]uint32] {
	return checkedQuery(c, "SORT", checkSort(options), func() answer[[]uint32] { return c.client.Sort(options) })
}

// UIDSort sends a UID SORT command. The server must support SORT.
func (c *Conn) UIDSort(options *imapclient.SortOptions) *Query[[]uint32] {
	return checkedQuery(c, "UID SORT", checkSort(options), func() answer[[]uint32] { return c.client.UIDSort(options) })
}

// Thread sends a THREAD command. The server must support THREAD with the algorithm.
func (c *Conn) Thread(options *imapclient.ThreadOptions) *Query[[]imapclient.ThreadData] {
	return checkedQuery(c, "THREAD", checkThread(options), func() answer[[]imapclient.ThreadData] { return c.client.Thread(options) })
}

// UIDThread sends a UID THREAD command. The server must support THREAD with the
// algorithm.
func (c *Conn) UIDThread(options *imapclient.ThreadOptions) *Query[[]imapclient.ThreadData] {
	return checkedQuery(c, "UID THREAD", checkThread(options), func() answer[[]imapclient.ThreadData] { return c.client.UIDThread(options) })
}

// Copy sends a COPY command, or UID COPY for a set of UIDs.
func (c *Conn) Copy(numSet imap.NumSet, mailbox string) *Query[*imap.CopyData] {
	return checkedQuery(c, "COPY", checkSet(numSet), func() answer[*imap.CopyData] { return c.client.Copy(numSet, mailbox) })
}

// Move sends a MOVE command, or UID MOVE for a set of UIDs. If the server does not
// support MOVE, nothing is sent, and the error is errors.ErrUnsupported: use Copy
// instead, and if that succeeds, Store imap.FlagDeleted and Expunge.
func (c *Conn) Move(numSet imap.NumSet, mailbox string) *Query[*imapclient.MoveData] {
	err := checkSet(numSet)
	if !c.Caps().Has(imap.CapMove) {
		err = errNoMove // go-imap would expunge without waiting for the copy
	}
	return checkedQuery(c, "MOVE", err, func() answer[*imapclient.MoveData] { return c.client.Move(numSet, mailbox) })
}

// GetQuota sends a GETQUOTA command. The server must support QUOTA.
func (c *Conn) GetQuota(root string) *Query[*imapclient.QuotaData] {
	return query(c, "GETQUOTA", c.client.GetQuota(root))
}

// GetQuotaRoot sends a GETQUOTAROOT command. The server must support QUOTA.
func (c *Conn) GetQuotaRoot(mailbox string) *Query[[]imapclient.QuotaData] {
	return query(c, "GETQUOTAROOT", c.client.GetQuotaRoot(mailbox))
}

// GetMetadata sends a GETMETADATA command. The server must support METADATA. The
// options may be nil.
func (c *Conn) GetMetadata(mailbox string, entries []string, options *imapclient.GetMetadataOptions) *Query[*imapclient.GetMetadataData] {
	return checkedQuery(c, "GETMETADATA", checkMetadata(entries, options), func() answer[*imapclient.GetMetadataData] {
		return c.client.GetMetadata(mailbox, entries, options)
	})
}

// MyRights sends a MYRIGHTS command. The server must support ACL.
func (c *Conn) MyRights(mailbox string) *Query[*imapclient.MyRightsData] {
	return query(c, "MYRIGHTS", c.client.MyRights(mailbox))
}

// GetACL sends a GETACL command. The server must support ACL.
func (c *Conn) GetACL(mailbox string) *Query[*imapclient.GetACLData] {
	return query(c, "GETACL", c.client.GetACL(mailbox))
}

// Noop sends a NOOP command. The server reports news of the mailbox before it answers.
func (c *Conn) Noop() *Command {
	return c.command("NOOP", c.client.Noop())
}

// Create sends a CREATE command. The options may be nil.
func (c *Conn) Create(mailbox string, options *imap.CreateOptions) *Command {
	if err := checkCreate(options); err != nil {
		return c.unsent("CREATE", err)
	}
	return c.command("CREATE", c.client.Create(mailbox, options))
}

// Delete sends a DELETE command.
func (c *Conn) Delete(mailbox string) *Command {
	return c.command("DELETE", c.client.Delete(mailbox))
}

// Rename sends a RENAME command. The options may be nil.
func (c *Conn) Rename(mailbox, newName string, options *imap.RenameOptions) *Command {
	return c.command("RENAME", c.client.Rename(mailbox, newName, options))
}

// Subscribe sends a SUBSCRIBE command.
func (c *Conn) Subscribe(mailbox string) *Command {
	return c.command("SUBSCRIBE", c.client.Subscribe(mailbox))
}

// Unsubscribe sends an UNSUBSCRIBE command.
func (c *Conn) Unsubscribe(mailbox string) *Command {
	return c.command("UNSUBSCRIBE", c.client.Unsubscribe(mailbox))
}

// SetQuota sends a SETQUOTA command. The server must support QUOTA.
func (c *Conn) SetQuota(root string, limits map[imap.QuotaResourceType]int64) *Command {
	if err := checkLimits(limits); err != nil {
		return c.unsent("SETQUOTA", err)
	}
	return c.command("SETQUOTA", c.client.SetQuota(root, limits))
}

// SetMetadata sends a SETMETADATA command. The server must support METADATA.
func (c *Conn) SetMetadata(mailbox string, entries map[string]*[]byte) *Command {
	if len(entries) == 0 {
		return c.unsent("SETMETADATA", errNoEntries)
	}
	return c.command("SETMETADATA", c.client.SetMetadata(mailbox, entries))
}

// SetACL sends a SETACL command. The server must support ACL.
func (c *Conn) SetACL(mailbox string, who imap.RightsIdentifier, how imap.RightModification, rights imap.RightSet) *Command {
	return c.command("SETACL", c.client.SetACL(mailbox, who, how, rights))
}
