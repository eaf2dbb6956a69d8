package adapt_test

import (
	"errors"
	"fmt"
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/adapt"
)

func TestByCodeMarksTheErrorsOfItsCodes(t *testing.T) {
	class := adapt.ByCode(func(e *textproto.Error) int { return e.Code }, map[int]func(error) error{
		421: adapt.Full, 535: driver.Permanent,
	})
	for _, tc := range []struct {
		name            string
		err             error
		full, permanent bool
	}{
		{"full", &textproto.Error{Code: 421}, true, false},
		{"wrapped", fmt.Errorf("login: %w", &textproto.Error{Code: 535}), false, true},
		{"another code", &textproto.Error{Code: 550}, false, false},
		{"another type", errors.New("421"), false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := class(tc.err)
			assert.ErrorIs(t, err, tc.err)
			assert.Equal(t, tc.full, driver.IsFull(err))
			assert.Equal(t, tc.permanent, driver.IsPermanent(err))
		})
	}
}

func TestIsAFindsTheTypeInAChain(t *testing.T) {
	assert.True(t, adapt.IsA[*textproto.Error](fmt.Errorf("login: %w", &textproto.Error{Code: 535})))
	assert.False(t, adapt.IsA[*textproto.Error](errors.New("535")))
	assert.False(t, adapt.IsA[*textproto.Error](nil))
}
