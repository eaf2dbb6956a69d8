package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hotline-go/hotline/pool/status"
)

// pageFlag is the flag of commands that can show their pool on a page.
type pageFlag struct {
	Listen string `placeholder:"HOST:PORT" help:"Serve a live page of the pool at this address while the command runs. Port 0 means any free port."`
}

// check reports what is wrong with the flag.
func (f pageFlag) check() error {
	if f.Listen == "" {
		return nil
	}
	return checkAddress("--listen", f.Listen)
}

// checkAddress returns an error if addr, the value of flag, is not a host and a port. The
// error does not repeat addr: it may be a DSN with a password, given by mistake.
func checkAddress(flag, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil || strings.ContainsAny(addr, "/@") {
		return errors.New(flag + ": want host:port, as in 127.0.0.1:2485")
	}
	return nil
}

// serve serves a page until end is called, and prints its address on w. Without
// the flag the page is nil.
func (f pageFlag) serve(w io.Writer) (page *status.Page, end func(), err error) {
	if f.Listen == "" {
		return nil, func() {}, nil
	}
	ln, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	page = status.New()
	server := &http.Server{
		Handler:           page,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // errors of browsers do not matter
	}
	served := make(chan struct{})
	go func() { // ends with the server
		defer close(served)
		_ = server.Serve(ln)
	}()
	fmt.Fprintf(w, "page     http://%s/\n", ln.Addr())
	return page, func() {
		_ = server.Close()
		<-served
		page.Close()
	}, nil
}
