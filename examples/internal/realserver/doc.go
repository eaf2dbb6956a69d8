// Package realserver runs real servers for tests of a client. Each runs in its own
// process and folder, on a port of 127.0.0.1 that stays the same across restarts. It
// needs Linux.
//
//	s := realserver.Start(t, realserver.Program{
//		Name: "redis-server", Package: "redis-server",
//		Configure: func(s *realserver.Server) []string { return []string{"--port", s.Port(), "--dir", s.Dir} },
//	})
//	s.Kill()  // like kill -9, including all child processes
//	s.Start() // again, on the same port
//
// If the program is not installed, Start skips the test and says which package has it;
// with HOTLINE_SERVERS=required in the environment, it fails the test.
package realserver
