package imap

import "github.com/hotline-go/hotline/driver/dsn"

// ParamNames returns the names of all parameters.
func ParamNames() []string {
	var c Config
	var p dsn.Params
	c.addParams(&p)
	return p.Names()
}
