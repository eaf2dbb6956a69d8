// Package mailserver starts real mail servers, for tests and benchmarks of a client:
// [Dovecot] and [Cyrus], if they are installed. It needs Linux and root.
//
//	s := mailserver.Start(t, mailserver.Dovecot, mailserver.Options{})
//	dial(s.TLS, s.CA.Pool(), mailserver.User, mailserver.Password)
//
//	s.Kick()     // the server hangs up on all sessions
//	s.Kill()     // all sessions crash
//	s.Stop()     // the server is down until Start
//	s.Sessions() // the number of sessions now
//
// If Start can't run the server, it skips the test and says why; with
// HOTLINE_MAILSERVERS=required in the environment, it fails the test. Each server has
// its own folder, ports on 127.0.0.1 and process group, which are gone when the test
// ends. A failed test shows Dovecot's log. Cyrus logs to syslog, so the test shows only
// its output.
package mailserver
