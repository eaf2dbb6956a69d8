package imap_test

import (
	"reflect"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/drivers/imap"
)

// literalOf returns the body in m.
func literalOf(t testing.TB, m *imap.FetchMessage) goimap.LiteralReader {
	t.Helper()
	require.NotNil(t, m)
	for item := m.Next(); item != nil; item = m.Next() {
		if body, ok := item.(imapclient.FetchItemDataBodySection); ok {
			return body.Literal
		}
	}
	t.Fatal("no body")
	return nil
}

func methodsOf(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}
