// Package mailserver starts the mail servers that people run, for tests and
// benchmarks of a client: [Dovecot] and [Cyrus], where they are installed. It is
// for Linux, and for root.
//
//	s := mailserver.Start(t, mailserver.Dovecot, mailserver.Options{})
//	dial(s.TLS, s.CA.Pool(), mailserver.User, mailserver.Password)
//
//	s.Kick()     // the server hangs up on all sessions
//	s.Kill()     // all sessions crash
//	s.Stop()     // the server is away, until Start
//	s.Sessions() // how many the server has now
//
// Start skips the test where it can't run the server, and says why; where
// HOTLINE_MAILSERVERS=required is in the environment, it fails the test. Each
// server has a folder, ports of 127.0.0.1 and a process group of its own, which
// are gone when the test ends. A test that has failed shows Dovecot's log; that
// of Cyrus goes to syslog, and the test shows only what it prints.
package mailserver
