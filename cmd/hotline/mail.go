package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/drivers/imap"
	"github.com/hotline-go/hotline/internal/testserver"
)

// letters are the messages in the INBOX of each mail server of the command.
var letters = []string{
	letter("Sun, 22 Nov 2026 09:00:00 +0000", "A pool", "Eight of them are enough for all of us."),
	letter("Sun, 22 Nov 2026 09:05:00 +0000", "Re: A pool", "And when the server crashes?"),
	letter("Sun, 22 Nov 2026 09:06:00 +0000", "Re: Re: A pool", "You will not notice."),
}

func letter(date, subject, text string) string {
	return "From: Ada <ada@example.org>\r\nTo: Ada <ada@example.org>\r\nDate: " + date +
		"\r\nSubject: " + subject + "\r\n\r\n" + text + "\r\n"
}

// newMail returns a mail server with letters for ada.
func newMail(password string) (*testserver.IMAP, error) {
	mail := testserver.NewIMAP("ada", password)
	for _, text := range letters {
		if err := mail.Append("INBOX", text); err != nil {
			return nil, err
		}
	}
	return mail, nil
}

// wholeMessage selects a whole message, without marking it as read.
var wholeMessage = goimap.FetchItemBodySection{Peek: true}

// fetchOnce fetches the first of the letters from the selected mailbox of c.
func fetchOnce(ctx context.Context, c pinger) error {
	mail := c.(*imap.Conn)
	defer mail.Bind(ctx)()
	got, err := mail.Fetch(goimap.SeqSetNum(1), &goimap.FetchOptions{
		BodySection: []*goimap.FetchItemBodySection{&wholeMessage},
	}).Collect()
	if err == nil && (len(got) != 1 || string(got[0].FindBodySection(&wholeMessage)) != letters[0]) {
		err = errors.New("the server did not send the message in its INBOX")
	}
	return err
}

// describeMail prints how c logged in, and the capabilities of the server.
func describeMail(w io.Writer, c *imap.Conn) {
	fmt.Fprintf(w, "logged in with %s; the server's capabilities:\n", c.Mechanism())
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c.Caps())) {
		words = append(words, string(name))
	}
	printWords(w, words)
}
