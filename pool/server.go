package pool

import "time"

// ServerInfo is one of several servers that a pool connects to, as its connector sees
// it; see package driver/endpoints.
type ServerInfo struct {
	Addr       string    `json:"addr"`           // what is dialed
	Name       string    `json:"name"`           // host:port, as it was given
	Status     string    `json:"status"`         // untried, up, down, full, unfit, refused or gone
	Since      time.Time `json:"since,omitzero"` // of Status; zero if it has never changed
	Open       int       `json:"open"`           // connections
	Connecting int       `json:"connecting"`
	Error      string    `json:"error"` // why it is not up, quoted and cut if it is long; empty if it is
}

// serverInfos returns the state of the servers, or nil if there is only one. It is
// not called under mu.
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
