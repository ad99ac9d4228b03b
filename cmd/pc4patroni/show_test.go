package main

import (
	"math"
	"testing"

	"pc4patroni/funcs/patroni"
)

func TestInWords(t *testing.T) {
	tests := []struct {
		lag  patroni.Bytes
		want string
	}{
		{0, "0"}, {1023, "1023"}, {1024, "1 kB"}, {1536, "1.5 kB"}, {1 << 20, "1 MB"}, {1<<20 - 1, "1 MB"},
		{24 << 20, "24 MB"}, {3 << 30, "3 GB"}, {math.MaxInt64 - 1, "8 EB"}, {patroni.Unknown, "unknown"},
	}
	for _, tt := range tests {
		if got := inWords(tt.lag); got != tt.want {
			t.Errorf("inWords(%d) = %q, want %q", int64(tt.lag), got, tt.want)
		}
	}
}
