package imap

import (
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/stretchr/testify/assert"
)

func TestAGreetingCountsEvenIfTheServerHasHungUp(t *testing.T) {
	for text, ok := range map[string]bool{"* OK hi\r\n": true, "* PREAUTH hi\r\n": true, "* BYE no\r\n": false, "+OK hi\r\n": false, "": false} {
		w, far := newWire(t)
		client := imapclient.New(w, nil)
		go func() {
			_, _ = far.Write([]byte(text))
			far.Close()
		}()
		<-client.Closed()
		for range 100 {
			err := waitGreeting(client)
			assert.Equal(t, ok, err == nil, "%q: %v", text, err)
		}
	}
}
