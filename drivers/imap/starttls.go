package imap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/hotline-go/hotline/driver"
)

// startTLS reads the greeting and asks for TLS, before there is a client:
// nothing that comes in plain text gets to it.
func startTLS(nc net.Conn) error {
	in := bufio.NewReaderSize(nc, 4096)
	line, err := readLine(in)
	if err != nil {
		if err == io.EOF {
			return fmt.Errorf("imap: no greeting: %w", err)
		}
		return fmt.Errorf("imap: no greeting; if the port begins with TLS, the scheme is imaps: %w", err)
	}
	if err := checkGreeting(line); err != nil {
		return err
	}
	if _, err := io.WriteString(nc, "S STARTTLS\r\n"); err != nil {
		return fmt.Errorf("imap: STARTTLS: %w", err)
	}
	for {
		line, err := readLine(in)
		if err != nil {
			return fmt.Errorf("imap: STARTTLS: %w", err)
		}
		if text, ok := cutPrefixFold(line, "* BYE"); ok {
			return farewell("STARTTLS", text)
		}
		answer, ok := cutPrefixFold(line, "S ")
		if !ok {
			continue // capabilities, and what else servers tell
		}
		if _, ok := cutPrefixFold(answer, "OK"); !ok {
			return noStartTLS(answer)
		}
		break
	}
	if in.Buffered() > 0 {
		return driver.Permanent(errors.New("imap: the server sent more than its agreement before TLS began: somebody may be in between"))
	}
	return nil
}

func checkGreeting(line string) error {
	if _, ok := cutPrefixFold(line, "* OK"); ok {
		return nil
	}
	if text, ok := cutPrefixFold(line, "* BYE"); ok {
		return farewell("greeting", text)
	}
	if _, ok := cutPrefixFold(line, "* PREAUTH"); ok {
		return driver.Permanent(errors.New("imap: the server has logged us in by itself, over plain text: somebody may be in between"))
	}
	return driver.Permanent(fmt.Errorf("imap: the server does not speak IMAP on this port, it begins with %.40q", line))
}

// farewell is the error of a BYE with that text.
func farewell(op, text string) error {
	return refused(op, status(imap.StatusResponseTypeBye, text))
}

// noStartTLS is the error of a server that answers STARTTLS by something else
// than OK. One that is busy may do it later.
func noStartTLS(answer string) error {
	kind, text, _ := strings.Cut(answer, " ")
	err := refused("STARTTLS", status(imap.StatusResponseType(strings.ToUpper(kind)), text))
	if errors.As(err, new(refusal)) {
		return driver.Permanent(fmt.Errorf("imap: the server does not do STARTTLS, it says %.80q; tls=none would go without", answer))
	}
	return err
}

// refused is the error of an answer that comes before the login.
func refused(op string, answer *imap.Error) error {
	return atLogin(marked(fmt.Errorf("imap: %s: %w", op, answer), answer, true))
}

// readLine returns the next line, without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}
