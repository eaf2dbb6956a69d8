package fleet_test

import (
	"testing"

	"github.com/hotline-go/hotline/pool/fleet"
	"github.com/hotline-go/hotline/pool/fleet/fleettest"
)

func TestMemoryConformance(t *testing.T) {
	var m fleet.Memory
	fleettest.Run(t, fleettest.Subject{
		Open: func(testing.TB) fleet.Store { return &m },
		Lose: func(testing.TB) { m.Lose() },
	})
}
