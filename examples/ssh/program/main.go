// Program ssh runs each line of its input as a command on another host, over 2
// connections, and prints the output of each:
//
//	printf 'uptime\nuname -a\n' | DSN='ssh://deploy@build1?key=/etc/deploy/id&host_key=ssh-ed25519+AAAA…' go run ./ssh/program
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"

	_ "github.com/hotline-go/hotline/examples/ssh" // registers "ssh"
	"github.com/hotline-go/hotline/pool"
)

func main() {
	p, err := pool.Open[*ssh.Client]("ssh", os.Getenv("DSN"), pool.Config{MaxOpen: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var running sync.WaitGroup
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		command := input.Text()
		running.Go(func() {
			output, err := pool.Call(context.Background(), p, func(_ context.Context, c *ssh.Client) ([]byte, error) {
				return run(c, command)
			})
			if err != nil {
				output = fmt.Appendf(output, "%v\n", err)
			}
			fmt.Printf("$ %s\n%s", command, output)
		})
	}
	running.Wait()
}

// run runs a command and returns what it printed, even if it fails.
func run(c *ssh.Client, command string) ([]byte, error) {
	session, err := c.NewSession()
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return session.CombinedOutput(command)
}
