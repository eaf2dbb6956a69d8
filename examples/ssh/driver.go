// Package ssh pools the connections of golang.org/x/crypto/ssh, for programs that often
// run commands or open tunnels:
//
//	p, err := pool.Open[*ssh.Client]("ssh", "ssh://deploy:passphrase@build1?key=/etc/deploy/id&host_key=ssh-ed25519+AAAA…", pool.Config{})
//	...
//	err = p.Do(ctx, func(ctx context.Context, c *ssh.Client) error {
//		s, err := c.NewSession()
//		if err != nil {
//			return err
//		}
//		defer s.Close() // otherwise the next holder has one session fewer
//		return s.Run("make")
//	})
//
// key is the file with the private key, and the password of the DSN is its passphrase.
// host_key is the server's public key, as in a known_hosts file.
//
// One connection can carry several sessions, ten by default. A pool lends it to one holder
// at a time, so that the commands of several holders do not fail together.
package ssh

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
	"github.com/hotline-go/hotline/driver/dsn"
)

func init() { adapt.Register("ssh", open) }

func open(u *dsn.URL) (adapt.Client[*ssh.Client], error) {
	cfg, err := config(u)
	addr := u.Address(22)
	return adapt.Client[*ssh.Client]{
		Address: addr,
		Start: func(_ context.Context, nc net.Conn) (*ssh.Client, error) {
			c, channels, requests, err := ssh.NewClientConn(nc, addr, cfg)
			if err != nil {
				return nil, err
			}
			return ssh.NewClient(c, channels, requests), nil
		},
		IgnoreUnread: true, // the library always reads, and matches answers to requests
		Ping: func(_ context.Context, c *ssh.Client) error {
			_, _, err := c.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer too
			return err
		},
		Class:  class,
		Answer: func(err error) bool { return adapt.IsA[*ssh.ExitError](err) || adapt.IsA[*ssh.OpenChannelError](err) },
	}, err
}

// config reads the keys, so that a wrong file fails at once.
func config(u *dsn.URL) (*ssh.ClientConfig, error) {
	var key, hostKey string
	var params dsn.Params
	params.String("key", &key)
	params.String("host_key", &hostKey)
	errParams := params.Apply(u.Params)
	pem, errRead := os.ReadFile(key)
	signer, errKey := ssh.ParsePrivateKeyWithPassphrase(pem, []byte(u.Password))
	known, _, _, _, errHost := ssh.ParseAuthorizedKey([]byte(hostKey))
	if err := errors.Join(errParams, errRead, errKey, errHost); err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{User: u.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(known)}, nil
}

// class marks the errors for a wrong key of the client and a wrong key of the server. It
// uses their texts, because the library has no types for them.
func class(err error) error {
	if text := err.Error(); strings.Contains(text, "unable to authenticate") || strings.Contains(text, "host key mismatch") {
		return driver.Permanent(err)
	}
	return err
}
