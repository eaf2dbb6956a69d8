package pool

import "time"

// ServerInfo describes one of several servers that a pool connects to; see package
// driver/endpoints.
type ServerInfo struct {
	Addr       string    `json:"addr"`           // the address to dial
	Name       string    `json:"name"`           // host:port, as in the DSN
	Status     string    `json:"status"`         // untried, up, down, full, unfit, refused or gone
	Since      time.Time `json:"since,omitzero"` // of Status; zero if it has never changed
	Open       int       `json:"open"`           // open connections
	Connecting int       `json:"connecting"`     // Connects in progress
	Error      string    `json:"error"`          // why it is not up, quoted, and truncated if long; empty if it is up
}

// serverInfos returns the state of the servers, or nil if the connector is not an
// endpoints.Connector. It must not be called under mu.
func (p *Pool[C]) serverInfos() (all []ServerInfo) {
	if p.servers == nil {
		return nil
	}
	for _, s := range p.servers() {
		info := ServerInfo{Addr: s.Addr, Name: s.Name, Status: s.Status.String(), Since: s.Since, Open: s.Open, Connecting: s.Connecting}
		if s.Err != nil {
			info.Error = textOf(s.Err)
		}
		all = append(all, info)
	}
	return all
}
