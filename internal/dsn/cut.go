package dsn

import (
	"errors"
	"strings"
)

// Cut takes the parameters whose names begin with prefix out of s, which need
// not be a URL: any text will do that ends in ?name=value&name=value, such as
//
//	user:password@tcp(host)/db?charset=utf8&pool_max_open=5
//
// rest is s without them, byte for byte. All faults are reported together; an
// error shows no value.
func Cut(s, prefix string) (rest string, params map[string]string, err error) {
	params = map[string]string{}
	start := strings.IndexByte(s, '?')
	if start < 0 {
		return s, params, nil
	}
	var kept strings.Builder
	kept.WriteString(s[:start])
	var errs []error
	separator := byte(0) // in front of the piece; a ? passes from a piece taken out to the next
	for query := s[start:]; query != ""; {
		// A password may hold a ? as well, so each of them may begin the query.
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
			errs = append(errs, addParam(params, piece))
			continue
		}
		kept.WriteByte(separator)
		kept.WriteString(piece)
		separator = 0
	}
	return kept.String(), params, errors.Join(errs...)
}
