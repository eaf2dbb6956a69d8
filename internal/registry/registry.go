// Package registry holds the drivers of package driver by name. It is a package of
// its own so that drivertest can replace a driver and programs can't.
package registry

import (
	"maps"
	"slices"
	"sync"
)

var (
	mu      sync.RWMutex // guards drivers
	drivers = map[string]any{}
)

// Add puts d under name. It reports false, and changes nothing, if the name is taken.
func Add(name string, d any) bool {
	mu.Lock()
	defer mu.Unlock()
	if _, taken := drivers[name]; taken {
		return false
	}
	drivers[name] = d
	return true
}

// Get returns the driver under name, or nil.
func Get(name string) any {
	mu.RLock()
	defer mu.RUnlock()
	return drivers[name]
}

// Names returns the names, sorted.
func Names() []string {
	mu.RLock()
	defer mu.RUnlock()
	return slices.Sorted(maps.Keys(drivers))
}

// Replace puts d under name, and returns what was there, or nil. A nil d removes the
// name.
func Replace(name string, d any) (previous any) {
	mu.Lock()
	defer mu.Unlock()
	previous = drivers[name]
	if d == nil {
		delete(drivers, name)
	} else {
		drivers[name] = d
	}
	return previous
}
