package dsn

import (
	"errors"
	"strings"
)

// Cut removes from s the parameters whose names begin with prefix. s need not be
// a URL: any text that ends in ?name=value&name=value works, such as
//
//	user:password@tcp(host)/db?charset=utf8&pool_max_open=5
//
// rest is s without those parameters; its other bytes stay as they are. params are
// the decoded values by name, prefix included. All faults are reported together. No
// error shows a value.
func Cut(s, prefix string) (rest string, params map[string]string, err error) {
	params = map[string]string{}
	start := strings.IndexByte(s, '?')
	if start < 0 {
		return s, params, nil
	}
	var kept strings.Builder
	kept.WriteString(s[:start])
	var errs []error
	separator := byte(0) // before the piece; if a piece is removed, the next one gets its ?
	for query := s[start:]; query != ""; {
		// A password may contain a ? too, so any ? may begin the query.
		end := strings.IndexAny(query[1:], "?&") + 1
		if end == 0 {
			end = len(query)
		}
		piece := query[1:end]
		if separator != '?' {
			separator = query[0]
		}
		query = query[end:]
		if strings.HasPrefix(piece, prefix) {
			name, _, _ := strings.Cut(piece, "=")
			errs = append(errs, addParam(params, piece, "parameter "+name))
			continue
		}
		kept.WriteByte(separator)
		kept.WriteString(piece)
		separator = 0
	}
	return kept.String(), params, errors.Join(errs...)
}
