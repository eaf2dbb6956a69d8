package status

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/internal/secrettest"
	"github.com/hotline-go/hotline/pool"
)

// Whatever the password and the form of the DSN, nobody who reads the page, its JSON
// or an error of the pool sees the password.
func FuzzNoPasswordIsShown(f *testing.F) {
	secrettest.Fuzz(f, func(t *testing.T, dsn, secret string) {
		p, err := pool.Open[secrettest.Conn](secrettest.Name, dsn, pool.Config{FailFast: true, AcquireTimeout: secrettest.Patience})
		if err != nil {
			secrettest.Check(t, secret, "the error of Open", err)
			return
		}
		_, err = p.Acquire(t.Context())
		secrettest.Check(t, secret, "the error of Acquire", err)
		page := New(p)
		secrettest.Check(t, secret, "the page", get(page, "").Body.String())
		secrettest.Check(t, secret, "the JSON", get(page, "?format=json").Body.String())
		page.Close()
		assert.NoError(t, p.Close())
	})
}
