package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// files holds the contents of ca, cert and key, and reads them again when one of
// them changes.
type files struct {
	ca, cert, key string
	system        bool // trust the system's authorities too
	newSessions   func() tls.ClientSessionCache
	log           logr.Logger
	stat          func(name string) (fs.FileInfo, error) // os.Stat

	// Used by one refresh at a time.
	stamps [3]fs.FileInfo // of the files last read, valid or not; nil if unreadable
	logged string         // the last error in the log; empty after a success

	mu      sync.Mutex // guards the fields below; never held across I/O
	loaded  loaded
	reading chan struct{} // closed when the current refresh ends; nil = no refresh
	late    bool          // the current refresh has taken longer than readTime
}

// loaded holds the contents of the files, and the sessions made with them.
type loaded struct {
	roots       *x509.CertPool   // nil without a ca
	certificate *tls.Certificate // nil without a cert
	sessions    tls.ClientSessionCache
}

// readTime is how long a connect waits for its files, which may be on a network.
const readTime = time.Second

var errLate = fmt.Errorf("tls: ca, cert and key can't be read within %v", readTime)

// openFiles reads the files for the first time.
func openFiles(c *ClientConfig, newSessions func() tls.ClientSessionCache) (*files, error) {
	f := &files{ca: c.CA, cert: c.Cert, key: c.Key, system: c.CASystem, newSessions: newSessions, log: c.Logger, stat: os.Stat}
	f.changed()
	var err error
	f.loaded, err = f.read()
	return f, err
}

// get returns the current contents of the files. If they are not valid, can't be
// read within readTime, or ctx ends first, it returns the contents last read.
func (f *files) get(ctx context.Context) loaded {
	if f.ca == "" && f.cert == "" {
		return f.loaded // never changes
	}
	f.mu.Lock()
	if f.reading == nil {
		f.reading, f.late = make(chan struct{}), false
		go f.refresh() // ends when the file system answers; there is one at a time
	}
	reading, late := f.reading, f.late
	f.mu.Unlock()
	if !late {
		f.await(ctx, reading)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded
}

// await waits for the end of a refresh, up to readTime.
func (f *files) await(ctx context.Context, reading <-chan struct{}) {
	timer := time.NewTimer(readTime)
	defer timer.Stop()
	select {
	case <-reading:
	case <-ctx.Done():
	case <-timer.C:
		if f.setLate(reading) {
			f.log.Error(errLate, filesUnusable)
		}
	}
}

// setLate sets late and returns true, unless that refresh has ended or late was set
// before.
func (f *files) setLate(reading <-chan struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reading != reading || f.late {
		return false
	}
	f.late = true
	return true
}

const filesUnusable = "changed files can't be used, so the old ones stay in force"

// refresh reads the files if they have changed or could not be read. If they can't
// be used, it logs the error once.
func (f *files) refresh() {
	var fresh loaded
	var err error
	changed := f.changed()
	if changed {
		fresh, err = f.read()
		f.report(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if changed && err == nil {
		f.loaded = fresh
	}
	close(f.reading)
	f.reading = nil
}

// report logs the error of a read. If a file could not be opened, it clears the
// stamps, so that the next refresh tries again: a stamp does not show whether the
// permissions have changed.
func (f *files) report(err error) {
	if err == nil {
		f.logged = ""
		return
	}
	if errors.As(err, new(*fs.PathError)) {
		f.stamps = [3]fs.FileInfo{}
	}
	if text := err.Error(); text != f.logged {
		f.logged = text
		f.log.Error(err, filesUnusable)
	}
}

// changed reports whether a file has changed since the last call.
func (f *files) changed() (some bool) {
	for i, name := range []string{f.ca, f.cert, f.key} {
		if name == "" {
			continue
		}
		now, err := f.stat(name)
		if err != nil {
			now = nil
		}
		some = some || !same(f.stamps[i], now)
		f.stamps[i] = now
	}
	return some
}

// same reports whether a and b, nil for a missing file, have the same content. It
// also compares the files themselves, because a renamed file may have the size and
// time of the one it replaces.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read reads all files. Its error reports all faults together. The result has no old
// sessions, because those were made with the old files.
func (f *files) read() (loaded, error) {
	l := loaded{sessions: f.newSessions()}
	var errCA, errCert error
	if f.ca != "" {
		l.roots, errCA = readRoots(f.ca, f.system)
	}
	if f.cert != "" && f.key != "" {
		pair, err := readPair(f.cert, f.key)
		if err != nil {
			errCert = fmt.Errorf("tls: cert %q, key %q: want a PEM certificate and its key: %w", f.cert, f.key, err)
		}
		l.certificate = &pair
	}
	return l, errors.Join(errCA, errCert)
}

// readPair reads a certificate and its key.
func readPair(cert, key string) (tls.Certificate, error) {
	certText, err := readFile(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyText, err := readFile(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certText, keyText)
}

// readFile reads a regular file. Reading another kind, such as a named pipe, may
// block forever.
func readFile(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	return os.ReadFile(name)
}

// readRoots reads a file of authorities.
func readRoots(name string, system bool) (*x509.CertPool, error) {
	text, err := readFile(name)
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
