package dsn

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Struct adds parameters for the fields of the struct that config points to, in
// order. A tag names the parameter of a field; fields without a tag have none:
//
//	type Config struct {
//		CA    string   `dsn:"ca"`
//		ALPN  []string `dsn:"alpn"`
//		Delay bool     `dsn:"nodelay,not"` // the parameter is its opposite
//	}
//
// A tagged field is a string, bool, int, float64, time.Duration or []string. Numbers
// and durations have no limits. Struct skips the parameters in except. It panics if
// config is not a pointer to a struct, or if a tag is wrong.
func (p *Params) Struct(config any, except ...string) {
	v := reflect.ValueOf(config).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("dsn"), ",")
		if name == "" || slices.Contains(except, name) {
			continue
		}
		if !p.field(name, option, v.Field(i).Addr().Interface()) {
			panic(fmt.Sprintf("dsn: field %s: a parameter can't have type %s and option %q", field.Name, field.Type, option))
		}
	}
}

// field adds the parameter name for the variable that v points to. It reports
// whether a parameter can have the type of v and the option.
func (p *Params) field(name, option string, v any) bool {
	if option == "not" {
		v, ok := v.(*bool)
		if ok {
			p.not(name, v)
		}
		return ok
	}
	switch v := v.(type) {
	case *string:
		p.String(name, v)
	case *bool:
		p.Bool(name, v)
	case *int:
		p.Int(name, v, math.MinInt, math.MaxInt)
	case *float64:
		p.Float(name, v, math.Inf(-1), math.Inf(1))
	case *time.Duration:
		p.Duration(name, v, math.MinInt64)
	case *[]string:
		p.List(name, v)
	default:
		return false
	}
	return option == ""
}

// not adds a parameter that is the opposite of v.
func (p *Params) not(name string, v *bool) {
	add(p, name, boolean, v, func(s string) (bool, bool) {
		b, ok := parseBool(s)
		return !b, ok
	})
}
