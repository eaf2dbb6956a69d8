// Program smtp sends a mail to each address of its input, over 3 connections, and prints
// whether the server accepted it:
//
//	DSN=smtp://ada:password@mail.example go run ./smtp/program <addresses
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net/smtp"
	"os"
	"sync"

	_ "github.com/hotline-go/hotline/examples/smtp" // registers "smtp"
	"github.com/hotline-go/hotline/pool"
)

const sender = "ada@mail.example"

func main() {
	p, err := pool.Open[*smtp.Client]("smtp", os.Getenv("DSN"), pool.Config{MaxOpen: 3, MaxUses: 100})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var sending sync.WaitGroup
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		recipient := input.Text()
		sending.Go(func() {
			err := p.Do(context.Background(), func(_ context.Context, c *smtp.Client) error { return send(c, recipient) })
			if err != nil {
				fmt.Printf("%s: %v\n", recipient, err)
				return
			}
			fmt.Printf("%s: accepted\n", recipient)
		})
	}
	sending.Wait()
}

// send sends a mail. Its error has the answer of a server that refuses it. The driver
// resets the session before its next use, so nothing is left of a refused mail.
func send(c *smtp.Client, recipient string) error {
	err := c.Mail(sender)
	if err == nil {
		err = c.Rcpt(recipient)
	}
	if err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: News\r\n\r\nHello!\r\n", sender, recipient)
	return errors.Join(err, w.Close())
}
