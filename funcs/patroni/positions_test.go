package patroni

import "testing"

func TestOnlyPositionsMoved(t *testing.T) {
	const member = "/service/batman/members/db2"
	tests := []struct {
		name, key, before, after string
		want                     bool
	}{
		{"same", member, `{"state":"running"}`, `{"state":"running"}`, true},
		{"location", member, `{"role":"replica","xlog_location":117440792,"timeline":3}`, `{"role":"replica","xlog_location":117440999,"timeline":3}`, true},
		{"more digits", member, `{"xlog_location":99}`, `{"xlog_location":100}`, true},
		{"all three", member, `{"xlog_location":10,"replay_lsn":9,"receive_lsn":10}`, `{"xlog_location":12,"replay_lsn":11,"receive_lsn":12}`, true},
		{"spaces", member, `{"xlog_location": 10}`, `{"xlog_location": 12}`, true},
		{"timeline", member, `{"xlog_location":10,"timeline":3}`, `{"xlog_location":10,"timeline":4}`, false},
		{"location and timeline", member, `{"xlog_location":10,"timeline":3}`, `{"xlog_location":11,"timeline":4}`, false},
		{"location and role", member, `{"role":"replica","xlog_location":10}`, `{"role":"primary","xlog_location":11}`, false},
		{"state", member, `{"state":"running","xlog_location":10}`, `{"state":"stopping","xlog_location":10}`, false},
		{"position gone", member, `{"state":"running","xlog_location":10}`, `{"state":"running"}`, false},
		{"port", member, `{"conn_url":"postgres://10.0.0.1:5432/postgres"}`, `{"conn_url":"postgres://10.0.0.1:5433/postgres"}`, false},
		{"unlike lengths after a position", member, `{"xlog_location":10}`, `{"xlog_location":10,"pause":true}`, false},
		{"cut short", member, `{"xlog_location":1`, `{"xlog_location":2`, true},
		{"empty", member, ``, `{"xlog_location":2}`, false},
		{"status", "/service/batman/status", `{"optime":1}`, `{"optime":2}`, true},
		{"old optime", "/service/batman/optime/leader", `1`, `2`, true},
		{"leader", "/service/batman/leader", `db1`, `db2`, false},
		{"config", "/service/batman/config", `{"ttl":30}`, `{"ttl":31}`, false},
	}
	for _, tt := range tests {
		if got := OnlyPositionsMoved(tt.key, tt.before, tt.after); got != tt.want {
			t.Errorf("%s: OnlyPositionsMoved(%q, %q, %q) = %v, want %v", tt.name, tt.key, tt.before, tt.after, got, tt.want)
		}
	}
}
