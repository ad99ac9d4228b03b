package patroni

import "testing"

func TestOnlyPositionsMoved(t *testing.T) {
	const member = "/service/batman/members/db2"
	tests := []struct {
		name, key, before, after string
		want                     bool
	}{
		{"same", member, `{"state":"running","xlog_location":1}`, `{"state":"running","xlog_location":1}`, true},
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
		{"of a group", "/service/demo/0/members/w1", `{"xlog_location":1}`, `{"xlog_location":2}`, true},
		{"unknown position", member, `{"xlog_location":10}`, `{"xlog_location":null}`, false},
		{"member without a position", member, `{"port":1}`, `{"port":2}`, false},
		{"below a member", member + "/x", `{"xlog_location":1}`, `{"xlog_location":2}`, false},
		{"empty", member, ``, `{"xlog_location":2}`, false},
		{"status", "/service/batman/status", `{"optime":1}`, `{"optime":2}`, true},
		{"status with slots", "/service/batman/status", `{"optime":1,"slots":{"a":1,"b":1},"retain_slots":["a"]}`, `{"optime":2,"slots":{"a":2,"b":1},"retain_slots":["a"]}`, true},
		{"new slot", "/service/batman/status", `{"optime":1,"slots":{"a":1}}`, `{"optime":1,"slots":{"a":1,"b":1}}`, false},
		{"status of another program", "/app/status", `up`, `down`, false},
		{"another program's object", "/app/status", `{"up":1}`, `{"up":0}`, false},
		{"another program's number", "/app/status", `1`, `0`, false},
		{"optime of another program", "/app/optime/leader", `db1`, `db2`, false},
		{"member named status", "/service/batman/members/status", `{"optime":1}`, `{"optime":2}`, false},
		{"old optime", "/service/batman/optime/leader", `1`, `2`, true},
		{"status of another program", "/app/status", `open`, `closed`, false},
		{"optime of another program", "/app/optime/leader", `db1`, `db2`, false},
		{"leader", "/service/batman/leader", `db1`, `db2`, false},
		{"config", "/service/batman/config", `{"ttl":30}`, `{"ttl":31}`, false},
	}
	for _, tt := range tests {
		if got := OnlyPositionsMoved(tt.key, tt.before, tt.after); got != tt.want {
			t.Errorf("%s: OnlyPositionsMoved(%q, %q, %q) = %v, want %v", tt.name, tt.key, tt.before, tt.after, got, tt.want)
		}
	}
}
