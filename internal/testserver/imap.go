package testserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// IMAP is a mail server with one account, whose mail is in memory. It supports
// IMAP4rev1 and IMAP4rev2, and logins with LOGIN and PLAIN. [NewIMAP] makes one. The
// fields must not be changed while it serves. The methods are safe for concurrent use.
type IMAP struct {
	// MaxLogins is how many connections may be logged in at a time. Further logins
	// fail with LIMIT. Zero means no limit.
	MaxLogins int

	// Delay is how long SELECT takes, and all commands that report news, such as NOOP
	// and FETCH. LoginDelay is how long a login takes.
	Delay, LoginDelay time.Duration

	// TLS, if not nil, is the configuration for STARTTLS. For TLS from the first
	// byte, pass Serve a listener of package tls.
	TLS *tls.Config

	// Caps are the capabilities. Nil means all that are supported.
	Caps imap.CapSet

	// PreAuth lets in each client without a login.
	PreAuth bool

	store *imapmemserver.Server
	user  *imapmemserver.User
	name  string

	mu     sync.Mutex // guards the fields below; never held across I/O
	open   map[*imapSession]bool
	logins int // successful ones so far
	refuse *imap.Error
	answer *imap.Error
	gate   chan struct{} // if not nil, requests for news wait until it is closed
}

// NewIMAP returns a server for user, with an empty INBOX.
func NewIMAP(user, password string) *IMAP {
	s := &IMAP{store: imapmemserver.New(), user: imapmemserver.NewUser(user, password), name: user, open: map[*imapSession]bool{}}
	if err := s.user.Create("INBOX", nil); err != nil {
		panic(err) // can't happen: there is no INBOX yet
	}
	s.store.AddUser(s.user)
	return s
}

// Serve speaks IMAP with each client until Accept fails; then it cuts delays short. It
// returns when all connections have ended.
func (s *IMAP) Serve(ln net.Listener) {
	run := &imapRun{stop: make(chan struct{})}
	caps := s.Caps
	if caps == nil {
		caps = imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}
	}
	server := imapserver.New(&imapserver.Options{
		Caps:         caps,
		TLSConfig:    s.TLS,
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0),
		NewSession: func(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return s.session(c, run)
		},
	})
	_ = server.Serve(imapListener{ln, run}) // fails when the listener is closed
	close(run.stop)
	_ = server.Close()
	run.sessions.Wait()
}

// imapRun is one run of Serve.
type imapRun struct {
	stop     chan struct{}  // closed to end it
	sessions sync.WaitGroup // one for each connection
}

// imapListener counts connections when they are accepted, because imapserver learns of
// them only later.
type imapListener struct {
	net.Listener
	run *imapRun
}

// Accept returns the next connection.
func (l imapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.run.sessions.Add(1)
	}
	return c, err
}

func (s *IMAP) session(c *imapserver.Conn, run *imapRun) (imapserver.Session, *imapserver.GreetingData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil && s.refuse.Type == imap.StatusResponseTypeBye {
		run.sessions.Done()
		return nil, nil, s.refuse
	}
	inner := s.store.NewSession().(imapserver.SessionIMAP4rev2)
	if s.PreAuth {
		inner = imapmemserver.NewUserSession(s.user)
	}
	session := &imapSession{SessionIMAP4rev2: inner, server: s, conn: c, run: run}
	s.open[session] = s.PreAuth
	return session, &imapserver.GreetingData{PreAuth: s.PreAuth}, nil
}

// Append adds a message to a mailbox, which must exist.
func (s *IMAP) Append(mailbox, message string) error {
	_, err := s.user.Append(mailbox, bytes.NewReader([]byte(message)), &imap.AppendOptions{})
	return err
}

// Create makes a mailbox.
func (s *IMAP) Create(mailbox string) error { return s.user.Create(mailbox, nil) }

// Logins returns how many logins have succeeded so far.
func (s *IMAP) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Bye sends BYE with text to all clients and hangs up.
func (s *IMAP) Bye(text string) {
	s.mu.Lock()
	var conns []*imapserver.Conn
	for session := range s.open {
		conns = append(conns, session.conn)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Bye(text) // the client may have gone
	}
}

// Refuse makes all logins fail with answer. If it is of type BYE, it refuses connections
// before the login. Nil ends that.
func (s *IMAP) Refuse(answer *imap.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = answer
}

// Answer makes SELECT and FETCH fail with answer. Other commands that report news, such
// as NOOP, end the connection, because imapserver can't make them fail. Nil ends that.
func (s *IMAP) Answer(answer *imap.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Stall makes SELECT, and all commands that report news, such as NOOP and FETCH, wait
// until release is called or the server stops. Call release once.
func (s *IMAP) Stall() (release func()) {
	gate := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	}
}

// imapSession is a session of the store, with faults.
type imapSession struct {
	imapserver.SessionIMAP4rev2
	server *IMAP
	conn   *imapserver.Conn
	run    *imapRun
}

// Login checks the password and MaxLogins.
func (c *imapSession) Login(user, password string) error {
	s := c.server
	if !pause(s.LoginDelay, c.run.stop) {
		return net.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	in := 0
	for _, loggedIn := range s.open {
		if loggedIn {
			in++
		}
	}
	if s.MaxLogins > 0 && in >= s.MaxLogins {
		return &imap.Error{
			Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeLimit, Text: "Maximum number of connections from user exceeded",
		}
	}
	if err := c.SessionIMAP4rev2.Login(user, password); err != nil {
		return err
	}
	s.open[c] = true
	s.logins++
	return nil
}

// Select selects a mailbox.
func (c *imapSession) Select(mailbox string, options *imap.SelectOptions) (*imap.SelectData, error) {
	if err := c.hold(); err != nil {
		return nil, err
	}
	return c.SessionIMAP4rev2.Select(mailbox, options)
}

// Poll reports news, at the end of most commands.
func (c *imapSession) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	if err := c.hold(); err != nil {
		return err
	}
	return c.SessionIMAP4rev2.Poll(w, allowExpunge)
}

// hold waits for the gate and the delay, and returns the error of Answer.
func (c *imapSession) hold() error {
	c.server.mu.Lock()
	gate := c.server.gate
	c.server.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-c.run.stop:
		}
	}
	if !pause(c.server.Delay, c.run.stop) {
		return net.ErrClosed
	}
	return c.server.failure()
}

// failure returns the error set by Answer.
func (s *IMAP) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == nil {
		return nil
	}
	return s.answer
}

// Fetch sends messages. If the client goes away while a literal is written, imapserver
// never releases a lock, which it then needs itself to send the answer.
func (c *imapSession) Fetch(w *imapserver.FetchWriter, numSet imap.NumSet, options *imap.FetchOptions) error {
	if err := c.server.failure(); err != nil {
		return err
	}
	err := c.SessionIMAP4rev2.Fetch(w, numSet, options)
	var network net.Error
	if errors.As(err, &network) {
		runtime.Goexit() // the deferred calls end the connection and the session
	}
	return err
}

// Close ends the session.
func (c *imapSession) Close() error {
	c.server.mu.Lock()
	delete(c.server.open, c)
	c.server.mu.Unlock()
	defer c.run.sessions.Done()
	return c.SessionIMAP4rev2.Close()
}
