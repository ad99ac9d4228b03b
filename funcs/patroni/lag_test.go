package patroni

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The results are those of Patroni's parse_int with base unit B, but for what is
// refused here, for octal and hexadecimal numbers, and for fractions of units.
func TestParseBytes(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		err  string // a part of the message; empty if there is no error
	}{
		{text: "16MB", want: 16777216},
		{text: "0", want: 0},
		{text: "1048576", want: 1048576},
		{text: " 16 MB ", want: 16777216},
		{text: "16\tMB", want: 16777216},
		{text: "16kB", want: 16384},
		{text: "1GB", want: 1073741824},
		{text: "1TB", want: 1099511627776},
		{text: "1B", want: 1},
		{text: "+5", want: 5},
		{text: "1.5", want: 2},
		{text: "1.5GB", want: 1610612736},
		{text: "0.5kB", want: 512},
		{text: "1.0005MB", want: 1049100},
		{text: "010MB", want: 10485760},
		{text: "0x10", err: "want a number"},
		{text: "1.5.5", err: "want a number"},
		{text: ".5MB", want: 524288},
		{text: "0.0005kB", want: 1},
		{text: "1.25TB", want: 1374389534720},
		{text: "1e3", want: 1000},
		{text: "1e3kB", want: 1024000},
		{text: "1E3B", want: 1000},
		{text: "0e5", want: 0},
		{text: "8388607TB", want: 9223370937343148032},
		{text: "1e", err: `unknown unit "e"`},
		{text: "16 M", err: `unknown unit "M"`},
		{text: "16MBx", err: `unknown unit "MBx"`},
		{text: "16mb", err: `the unit is written "MB"`},
		{text: "16KB", err: `the unit is written "kB"`},
		{text: "MB", err: "want a number"},
		{text: "", err: "want a number"},
		{text: "abc", err: "want a number"},
		{text: "NaN", err: "want a number"},
		{text: "-", err: "want a number"},
		{text: "１６MB", err: "want a number"},
		{text: "-5", err: "it is negative"},
		{text: "-1MB", err: "it is negative"},
		{text: "9223372036854775807", err: "it is too large"},
		{text: "9223372036854775808", err: "it is too large"},
		{text: "99999999999999999999MB", err: "it is too large"},
		{text: "8388608TB", err: "it is too large"},
		{text: "1e30", err: "it is too large"},
		{text: "1e400", err: "want a number"},
		{text: "Inf", err: "want a number"},
	}
	for _, tt := range tests {
		got, err := ParseBytes(tt.text)
		switch {
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "kB, MB, GB and TB")):
			t.Errorf("ParseBytes(%q) = %d, %v, want an error with %q and the units", tt.text, got, err, tt.err)
		}
	}
}

func TestBytesPrint(t *testing.T) {
	data, err := json.Marshal([]Bytes{0, 4096, Unknown})
	if got := fmt.Sprint(Bytes(0), Bytes(4096), Unknown); got != "0 4096 unknown" {
		t.Errorf("bytes print as %s", got)
	}
	if err != nil || string(data) != "[0,4096,null]" {
		t.Errorf("bytes encode as %s, %v", data, err)
	}
}
