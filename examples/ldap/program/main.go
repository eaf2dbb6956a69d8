// Program ldap checks passwords: for each line of its input, a name and a password, it
// prints whether the directory accepts them. The driver binds each connection as the user
// of the DSN again before its next use:
//
//	echo cn=ada,dc=example,dc=org secret | DSN=ldap://127.0.0.1 go run ./ldap/program
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"

	"github.com/go-ldap/ldap/v3"

	_ "github.com/hotline-go/hotline/examples/ldap" // registers "ldap"
	"github.com/hotline-go/hotline/pool"
)

func main() {
	p, err := pool.Open[*ldap.Conn]("ldap", os.Getenv("DSN"), pool.Config{MaxOpen: 5})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var checking sync.WaitGroup
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		name, password, _ := strings.Cut(input.Text(), " ")
		checking.Go(func() {
			err := p.Do(context.Background(), func(_ context.Context, c *ldap.Conn) error { return c.Bind(name, password) })
			switch {
			case ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
				fmt.Println(name, "wrong")
			case err != nil:
				fmt.Println(name, err)
			default:
				fmt.Println(name, "right")
			}
		})
	}
	checking.Wait()
}
