package testport_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hotline-go/hotline/internal/testport"
)

func TestARefusedAddressRefuses(t *testing.T) {
	addr := testport.Refused(t)
	for range 3 {
		_, err := net.Dial("tcp", addr)
		require.ErrorContains(t, err, "refused")
	}
}
