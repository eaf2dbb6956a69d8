package endpoints_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/driver"
	"github.com/hotline-go/hotline/driver/drivertest"
	"github.com/hotline-go/hotline/driver/endpoints"
)

func TestTheClassOfTheErrorFollowsFromAllEndpoints(t *testing.T) {
	plain := errors.New("refused")
	permanent := driver.Permanent(errors.New("wrong password"))
	full := driver.Full(errors.New("too many"), 0)
	fullFor := driver.Full(errors.New("too many"), 5*time.Second)
	throttled := driver.Throttled(errors.New("slow down"), 3*time.Second)
	for _, tc := range []struct {
		name            string
		errs            []error
		permanent, full bool
		pauses          bool
		pause           time.Duration
	}{
		{"all plain", []error{plain, plain}, false, false, false, 0},
		{"all permanent", []error{permanent, permanent}, true, false, false, 0},
		{"one permanent", []error{permanent, plain}, false, false, false, 0},
		{"one full", []error{plain, full, permanent}, false, true, true, 0},
		{"all full", []error{fullFor, full}, false, true, true, 0},
		{"all full for a time", []error{fullFor, fullFor}, false, true, true, 5 * time.Second},
		{"full or throttled", []error{fullFor, throttled}, false, true, true, 3 * time.Second},
		{"all throttled", []error{throttled, throttled}, false, false, true, 3 * time.Second},
		{"one throttled", []error{throttled, plain}, false, false, false, 0},
		{"throttled and permanent", []error{throttled, permanent}, false, false, false, 0},
		{"throttled and both", []error{throttled, driver.Permanent(throttled)}, false, false, false, 0},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			f := newFarm(t, []string{"a:1", "b:1", "c:1"}[:len(tc.errs)]...)
			for i, addr := range f.addrs() {
				f.all(drivertest.Fail(tc.errs[i]), addr)
			}
			c := f.new(endpoints.Set{})
			for range 2 { // the second time, some are not tried
				_, _, err := tryConnect(f, c)
				require.Error(t, err)
				assert.Equal(t, tc.permanent, driver.IsPermanent(err), "permanent")
				assert.Equal(t, tc.full, driver.IsFull(err), "full")
				pause, pauses := driver.RetryAfter(err)
				assert.Equal(t, tc.pauses, pauses, "asks for a pause")
				assert.Equal(t, tc.pause, pause)
				assert.False(t, driver.SafeToRetry(err))
			}
		})
	}
}

func TestTheErrorGivesAReasonForEachEndpointAndIsShortForAThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addrs []string
		for i := range 1000 {
			addrs = append(addrs, fmt.Sprintf("host%03d:1", i))
		}
		f := newFarm(t, addrs...)
		f.all(drivertest.Fail(errScripted), addrs...)
		c := f.new(endpoints.Set{})
		assert.Equal(t, "fake host000:1,host001:1,host002:1 and 997 more", c.Advice().Name)
		assert.Equal(t, 7, c.Advice().MaxOpen)
		_, _, err := tryConnect(f, c)
		assert.EqualError(t, err, "endpoints: no connection to any of 1000 servers: host000:1: drivertest: connect: scripted error; "+
			"host001:1: drivertest: connect: scripted error; host002:1: drivertest: connect: scripted error; "+
			"host003:1: drivertest: connect: scripted error; and 996 more")
		assert.ErrorIs(t, err, errScripted)
		f.all(nil, "host999:1")
		addr, took := connect(t, f, c)
		assert.Equal(t, "host999:1", addr)
		assert.Zero(t, took)
	})
}

func TestTheErrorNamesTheEndpointsThatWereNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, "a:1", "b:1")
		f.all(drivertest.Fail(driver.Permanent(errScripted)), "a:1")
		f.all(drivertest.Fail(errScripted), "b:1")
		c := f.new(endpoints.Set{})
		_, _, _ = tryConnect(f, c)
		advance(10 * time.Second)
		_, _, err := tryConnect(f, c)
		assert.EqualError(t, err, "endpoints: no connection to any of 2 servers: b:1: drivertest: connect: scripted error; "+
			"a:1: drivertest: connect: scripted error (next try in 50s)")
	})
}

// secret is a connector that fmt prints with its password.
type secret struct{ Password string }

func (s secret) Connect(context.Context) (driver.Conn, error) { return nil, errScripted }

func TestNothingShowsWhatTheConnectorsKnow(t *testing.T) {
	c, err := endpoints.New(endpoints.Set{
		Addrs:     []string{"127.0.0.1:1", "127.0.0.1:2"},
		Connector: func(string) (driver.Connector, error) { return secret{"s3cret"}, nil },
	})
	require.NoError(t, err)
	_, err = c.Connect(t.Context())
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", c.State())} {
		assert.NotContains(t, text, "s3cret")
	}
	assert.True(t, strings.HasPrefix(fmt.Sprintf("%#v", c), "127.0.0.1:1,127.0.0.1:2"))
}
