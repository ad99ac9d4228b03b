package report

import (
	"math"
	"testing"
	"time"

	"pc4patroni/funcs/patroni"
)

func TestLag(t *testing.T) {
	tests := []struct {
		lag  patroni.Bytes
		want string
	}{
		{0, "0"}, {1, "1 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1536, "1.5 KiB"}, {1 << 20, "1 MiB"}, {1<<20 - 1, "1 MiB"},
		{24 << 20, "24 MiB"}, {3 << 30, "3 GiB"}, {math.MaxInt64 - 1, "8 EiB"}, {patroni.Unknown, "unknown"},
	}
	for _, tt := range tests {
		if got := Lag(tt.lag); got != tt.want {
			t.Errorf("Lag(%d) = %q, want %q", int64(tt.lag), got, tt.want)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 29, 3, 0, 0, 0, time.UTC)
	tests := []struct{ text, want string }{
		{"2026-03-29T02:59:18.120000+00:00", "2026-03-29 02:59:18 UTC (41 s ago)"},
		{"2026-03-29T04:48:00+02:00", "2026-03-29 02:48:00 UTC (12 min ago)"},
		{"2026-03-28T23:55:00+00:00", "2026-03-28 23:55:00 UTC (3 h ago)"},
		{"2026-03-29T03:30:00.5+00:00", "2026-03-29 03:30:00 UTC (in 30 min)"},
		{"2026-03-28T03:00:00Z", "2026-03-28 03:00:00 UTC"},
		{"2026-04-01 02:00:00+00:00", "2026-04-01 02:00:00 UTC"},
		{"half past two", "half past two"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := moment(tt.text, now); got != tt.want {
			t.Errorf("moment(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "under 1 ms", 3 * time.Millisecond: "3 ms", 999 * time.Millisecond: "999 ms", 1500 * time.Millisecond: "1.5 s", 2 * time.Second: "2 s",
		42 * time.Second: "42 s", 119 * time.Second: "119 s", 5 * time.Minute: "5 min", 3 * time.Hour: "3 h", 72 * time.Hour: "3 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
