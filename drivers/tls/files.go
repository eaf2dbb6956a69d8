package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// files keeps what was read from ca, cert and key, and reads it again when one
// of them changes.
type files struct {
	ca, cert, key string
	system        bool // the system's authorities too
	newSessions   func() tls.ClientSessionCache
	log           logr.Logger

	mu     sync.Mutex // guards the fields below; held while files are read, so that one goroutine does it
	stamps [3]stamp   // of what was last read, whether it was of use or not
	loaded loaded
}

// loaded is what the files hold, and the sessions made under them.
type loaded struct {
	roots       *x509.CertPool   // nil without a ca
	certificate *tls.Certificate // nil without a cert
	sessions    tls.ClientSessionCache
}

// stamp tells one content of a file from the next.
type stamp struct {
	modified time.Time
	size     int64
}

// openFiles reads the files for the first time.
func openFiles(c *Config, newSessions func() tls.ClientSessionCache) (*files, error) {
	f := &files{ca: c.CA, cert: c.Cert, key: c.Key, system: c.CASystem, newSessions: newSessions, log: c.Logger}
	f.stamps = f.stat()
	var err error
	f.loaded, err = f.read()
	return f, err
}

// get returns what the files hold now, or held when they were last of use. It
// logs why those that have changed are not.
func (f *files) get() loaded {
	l, err := f.refresh()
	if err != nil {
		f.log.Error(err, "changed files can't be used, the old ones stay in force")
	}
	return l
}

// refresh is get, with the error that get logs.
func (f *files) refresh() (loaded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.stat()
	if now == f.stamps {
		return f.loaded, nil
	}
	f.stamps = now
	fresh, err := f.read()
	if err == nil {
		f.loaded = fresh
	}
	return f.loaded, err
}

// stat returns the stamps of the files; that of a missing one is zero.
func (f *files) stat() (s [3]stamp) {
	for i, name := range []string{f.ca, f.cert, f.key} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

// read reads all files. All that is wrong is reported together. It forgets the
// sessions, which were made under the old files.
func (f *files) read() (loaded, error) {
	l := loaded{sessions: f.newSessions()}
	var errCA, errCert error
	if f.ca != "" {
		l.roots, errCA = readRoots(f.ca, f.system)
	}
	if f.cert != "" && f.key != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			errCert = fmt.Errorf("tls: cert %q, key %q: want a PEM certificate and its key: %w", f.cert, f.key, err)
		}
		l.certificate = &pair
	}
	return l, errors.Join(errCA, errCert)
}

// readRoots reads a file of authorities.
func readRoots(name string, system bool) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("tls: ca: %w", err)
	}
	roots := x509.NewCertPool()
	if system {
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("tls: ca_system: %w", err)
		}
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls: ca %q: want PEM certificates", name)
	}
	return roots, nil
}
