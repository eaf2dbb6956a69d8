package status_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/pool"
	"github.com/hotline-go/hotline/pool/keyed"
	"github.com/hotline-go/hotline/pool/status"
)

// away is a server that cannot be reached.
type away struct{}

func (away) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no route to host") }

// Serve the page at /debug/pools. Programs can read it as JSON.
func Example() {
	p, err := pool.New[driver.Conn](away{}, pool.Config{Name: "mail"})
	if err != nil {
		panic(err)
	}
	defer p.Close()
	_ = p.Do(context.Background(), func(context.Context, driver.Conn) error { return nil })

	page := status.New(p)
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/pools", page)

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest("GET", "/debug/pools?format=json", nil))
	var got struct {
		Pools []struct{ Pool, State, Why string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		panic(err)
	}
	for _, p := range got.Pools {
		why, _, _ := strings.Cut(p.Why, " (for ")
		fmt.Printf("%s is %s: %s\n", p.Pool, p.State, why)
	}
	// Output: mail is down: connecting fails
}

// The pools of a keyed.Pool come and go. The page shows them under one heading.
func ExamplePage_AddGroup() {
	connector := func(account string) (driver.Connector, error) { return away{}, nil }
	mail, err := keyed.Open[string, driver.Conn](connector, keyed.Config[string]{MaxOpen: 100})
	if err != nil {
		panic(err)
	}
	defer mail.Close()
	_, _ = mail.Pool("ada") // opens it, like its first use

	page := status.New()
	defer page.Close()
	page.AddGroup("mail", status.Pools(mail.All()))

	answer := httptest.NewRecorder()
	page.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	fmt.Println(strings.Contains(answer.Body.String(), `<a href="?pool=ada">ada</a>`))
	// Output: true
}
