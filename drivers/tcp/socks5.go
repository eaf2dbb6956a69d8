package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"

	"github.com/hotline-go/hotline/driver"
)

// Constants of SOCKS version 5 (RFC 1928, RFC 1929).
const (
	socksVersion     = 5
	socksNoLogin     = 0
	socksPassword    = 2
	socksConnect     = 1
	socksIPv4        = 1
	socksName        = 3
	socksIPv6        = 4
	socksLoginFormat = 1
)

// socksReplies are the reasons for a refusal.
var socksReplies = [...]string{
	1: "general failure",
	2: "not allowed by its rules",
	3: "network unreachable",
	4: "host unreachable",
	5: "connection refused",
	6: "TTL expired",
	7: "command not supported",
	8: "address type not supported",
}

// socks5 asks a SOCKS proxy for a connection to target:
//
//	5 n methods...                  ->   the login methods of the client
//	                                <-   5 method
//	1 len user len password         ->   if the proxy chose that method
//	                                <-   1 status
//	5 1 0 type address port         ->   connect me to the target
//	                                <-   5 reply 0 type address port
func socks5(c net.Conn, target, user, password string) error {
	hello, offer := []byte{socksVersion, 1, socksNoLogin}, "no login"
	if user != "" {
		hello, offer = []byte{socksVersion, 2, socksNoLogin, socksPassword}, "no login, or user and password"
	}
	answer, err := exchange(c, hello, 2)
	if err != nil {
		return err
	}
	switch method := answer[1]; {
	case answer[0] != socksVersion:
		return notSOCKS(answer)
	case method == socksPassword && user != "":
		if err := socksLogin(c, user, password); err != nil {
			return err
		}
	case method != socksNoLogin:
		return refusal{fmt.Errorf("the proxy wants a login method other than those offered (%s)", offer)}
	}
	return socksRequest(c, target)
}

func socksLogin(c net.Conn, user, password string) error {
	login := append([]byte{socksLoginFormat, byte(len(user))}, user...)
	login = append(append(login, byte(len(password))), password...)
	answer, err := exchange(c, login, 2)
	if err != nil {
		return err
	}
	switch {
	case answer[0] != socksLoginFormat:
		return notSOCKS(answer)
	case answer[1] != 0:
		return refusal{errors.New("the proxy refused the user or the password")}
	}
	return nil
}

func notSOCKS(answer []byte) error {
	return fmt.Errorf("the proxy's answer %s is not SOCKS5", driver.Quote(answer))
}

func socksRequest(c net.Conn, target string) error {
	host, service, _ := net.SplitHostPort(target) // checked by NewConnector
	port, _ := strconv.ParseUint(service, 10, 16)
	request := []byte{socksVersion, socksConnect, 0}
	switch addr, err := netip.ParseAddr(host); {
	case err != nil:
		request = append(append(request, socksName, byte(len(host))), host...)
	case addr.Unmap().Is4():
		request = append(append(request, socksIPv4), addr.Unmap().AsSlice()...)
	default:
		request = append(append(request, socksIPv6), addr.AsSlice()...)
	}
	answer, err := exchange(c, binary.BigEndian.AppendUint16(request, uint16(port)), 5)
	if err != nil {
		return err
	}
	if answer[0] != socksVersion {
		return notSOCKS(answer)
	}
	if reply := int(answer[1]); reply != 0 {
		reason := fmt.Sprint("reason ", reply)
		if reply < len(socksReplies) {
			reason = socksReplies[reply]
		}
		return fmt.Errorf("the proxy could not connect: %s", reason)
	}
	// The rest is the address that the proxy connects from, which is not needed.
	rest := map[byte]int{socksIPv4: 4, socksIPv6: 16, socksName: 1 + int(answer[4])}[answer[3]]
	if rest == 0 {
		return fmt.Errorf("the proxy answered with an unknown type of address (%d)", answer[3])
	}
	_, err = io.CopyN(io.Discard, c, int64(rest+2-1))
	return err
}

// exchange writes request and reads an answer of n bytes.
func exchange(c net.Conn, request []byte, n int) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	answer := make([]byte, n)
	_, err := io.ReadFull(c, answer)
	return answer, err
}
