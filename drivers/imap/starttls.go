package imap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// startTLS reads the greeting and asks for TLS. It runs before there is a client, so
// that the client gets nothing that came in plain text.
func startTLS(nc net.Conn) error {
	in := bufio.NewReaderSize(nc, 4096)
	line, err := readLine(in)
	if err != nil {
		if err == io.EOF {
			return fmt.Errorf("imap: no greeting: %w", err)
		}
		return fmt.Errorf("imap: no greeting; if the port uses TLS from the first byte, use the scheme imaps: %w", err)
	}
	if err := checkGreeting(line); err != nil {
		return err
	}
	if _, err := io.WriteString(nc, "S STARTTLS\r\n"); err != nil {
		return fmt.Errorf("imap: STARTTLS: %w", err)
	}
	if err := awaitAgreement(in); err != nil {
		return err
	}
	if in.Buffered() > 0 {
		return doubtful{errors.New("imap: the server sent extra plain text before TLS began; it may come from an attacker")}
	}
	return nil
}

// awaitAgreement reads the answer to STARTTLS, and returns an error unless it is OK.
func awaitAgreement(in *bufio.Reader) error {
	var notice *imap.Error // the reason why the answer will be NO
	for {
		line, err := readLine(in)
		if err != nil && notice != nil {
			return errorBeforeLogin("STARTTLS", fmt.Errorf("%w: %w", notice, err), notice)
		}
		if err != nil {
			return fmt.Errorf("imap: STARTTLS: %w", err)
		}
		if text, ok := cutPrefixFold(line, "* BYE"); ok {
			bye := status(imap.StatusResponseTypeBye, text)
			return errorBeforeLogin("STARTTLS", bye, bye)
		}
		if n := untagged(line); n != nil {
			notice = n
		}
		answer, ok := cutPrefixFold(line, "S ")
		if !ok {
			continue // capabilities or other untagged data
		}
		if _, ok := cutPrefixFold(answer, "OK"); !ok {
			return noStartTLS(answer, notice)
		}
		return nil
	}
}

func checkGreeting(line string) error {
	if _, ok := cutPrefixFold(line, "* OK"); ok {
		return nil
	}
	for _, kind := range []imap.StatusResponseType{imap.StatusResponseTypeBye, imap.StatusResponseTypeNo, imap.StatusResponseTypeBad} {
		if text, ok := cutPrefixFold(line, "* "+string(kind)); ok {
			answer := status(kind, text)
			return errorBeforeLogin("greeting", answer, answer)
		}
	}
	if _, ok := cutPrefixFold(line, "* PREAUTH"); ok {
		return doubtful{errPlainPreauth}
	}
	return doubtful{fmt.Errorf("imap: the server does not speak IMAP on this port; it begins with %.40q", line)}
}

// noStartTLS returns the error for text, an answer to STARTTLS other than OK, after
// notice, which may be nil. A busy server may agree later.
func noStartTLS(text string, notice *imap.Error) error {
	kind, rest, _ := strings.Cut(text, " ")
	answer := status(imap.StatusResponseType(strings.ToUpper(kind)), rest)
	answers, err := []*imap.Error{answer}, error(answer)
	if notice != nil {
		answers, err = append(answers, notice), fmt.Errorf("%w (the server also said %w)", answer, notice)
	}
	classed := errorBeforeLogin("STARTTLS", err, answers...)
	if isThrottled(classed) || hasCode(classed, imap.ResponseCodeServerBug) {
		return classed
	}
	return doubtful{fmt.Errorf("imap: the server does not support STARTTLS: %w; tls=none would use plain text", err)}
}

// errorBeforeLogin returns err as an error of op, with the class that answers give it
// before the login.
func errorBeforeLogin(op string, err error, answers ...*imap.Error) error {
	return marked(fmt.Errorf("imap: %s: %w", op, err), true, answers...)
}

// readLine returns the next line, without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}
