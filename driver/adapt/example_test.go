package adapt_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"

	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
	"github.com/hotline-go/hotline/pool"
)

func init() {
	adapt.Register("smtp", func(u *dsn.URL) (adapt.Client[*smtp.Client], error) {
		return adapt.Client[*smtp.Client]{
			Address: u.Address(25),
			Start: func(_ context.Context, nc net.Conn) (*smtp.Client, error) {
				return smtp.NewClient(adapt.WholeLines(nc), u.Host) // net/smtp takes half a line for a whole one
			},
			Ping:    func(_ context.Context, c *smtp.Client) error { return c.Noop() },
			Reset:   func(_ context.Context, c *smtp.Client) error { return c.Reset() },
			Answer:  adapt.IsA[*textproto.Error], // such as "550 no such user": the connection is good
			Goodbye: "QUIT\r\n",
		}, new(dsn.Params).Apply(u.Params)
	})
}

// A driver for net/smtp, which knows nothing of this module. The pool lends its
// *smtp.Client. The driver in examples/smtp also has TLS, a login, and a Reset that
// finds unread answers.
func ExampleRegister() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	go serveMail(ln)

	p, err := pool.Open[*smtp.Client]("smtp", "smtp://"+ln.Addr().String(), pool.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	for range 2 {
		err = p.Do(context.Background(), func(_ context.Context, c *smtp.Client) error { return c.Verify("ada") })
		fmt.Println("an answer of the server:", adapt.IsA[*textproto.Error](err))
	}
	fmt.Println("connects:", p.Stats().Connects)
	// Output:
	// an answer of the server: true
	// an answer of the server: true
	// connects: 1
}

// serveMail serves SMTP on ln, with no users, until ln is closed.
func serveMail(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			fmt.Fprint(nc, "220 ready\r\n")
			for in := bufio.NewScanner(nc); in.Scan() && in.Text() != "QUIT"; {
				answer := "250 fine"
				if strings.HasPrefix(in.Text(), "VRFY") {
					answer = "550 no such user"
				}
				fmt.Fprint(nc, answer+"\r\n")
			}
		}()
	}
}
