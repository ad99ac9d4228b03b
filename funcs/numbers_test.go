package funcs

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeJSONNumbers(t *testing.T) {
	tests := []struct {
		text string
		want any
		// confd is what confd printed of it, for comparison.
		confd string
	}{
		{"5432", int64(5432), "5432"},
		{"2592000", int64(2592000), "2.592e+06"},
		{"452263419312", int64(452263419312), "4.52263419312e+11"},
		{"7512345678901234567", int64(7512345678901234567), "7.512345678901235e+18"},
		{"9223372036854775807", int64(9223372036854775807), "9.223372036854776e+18"},
		{"-9223372036854775808", int64(-9223372036854775808), "-9.223372036854776e+18"},
		{"9223372036854775808", json.Number("9223372036854775808"), "9.223372036854776e+18"},
		{"123456789012345678901234567890", json.Number("123456789012345678901234567890"), "1.2345678901234568e+29"},
		{"0", int64(0), "0"},
		{"-0", int64(0), "-0"},
		{"0.0", int64(0), "0"},
		{"-0.0e5", int64(0), "-0"},
		{"0e999999999999999999999", json.Number("0e999999999999999999999"), "0"},
		{"1.0", int64(1), "1"},
		{"1e3", int64(1000), "1000"},
		{"1E3", int64(1000), "1000"},
		{"25e-1", json.Number("25e-1"), "2.5"},
		{"2500e-2", int64(25), "25"},
		{"2.5e1", int64(25), "25"},
		{"1.50", json.Number("1.50"), "1.5"},
		{"0.1", json.Number("0.1"), "0.1"},
		{"1234567.5", json.Number("1234567.5"), "1.2345675e+06"},
		{"1e-05", json.Number("1e-05"), "1e-05"},
		{"1e18", int64(1e18), "1e+18"},
		{"1e19", json.Number("1e19"), "1e+19"},
		{"1e400", json.Number("1e400"), ""},
		{"1e999999999", json.Number("1e999999999"), ""},
		{"1e-999999999", json.Number("1e-999999999"), "0"},
		{"1e9223372036854775807", json.Number("1e9223372036854775807"), ""},
		{"1e-9223372036854775808", json.Number("1e-9223372036854775808"), "0"},
	}
	for _, tt := range tests {
		got, err := decodeJSON(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("decodeJSON(%s) = %T %v, %v; want %T %v", tt.text, got, got, err, tt.want, tt.want)
		}
		var confd any
		if err := json.Unmarshal([]byte(tt.text), &confd); err == nil && fmt.Sprint(confd) != tt.confd {
			t.Errorf("%s prints as %v in confd, not %s", tt.text, confd, tt.confd)
		}
	}
}

func TestDecodeJSONErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "the text is empty, not JSON"},
		{" \n", "the text is empty, not JSON"},
		{"secret", "the text is not JSON: syntax error at byte 1"},
		{`{"password":"hunter2"`, "the text is not complete JSON: it ends too early"},
		{`{"password":hunter2}`, "the text is not JSON: syntax error at byte 13"},
		{`{} hunter2`, "there is more text after the JSON value, which ends at byte 2"},
		{`{}{}`, "there is more text after the JSON value, which ends at byte 2"},
		{`[1,]`, "the text is not JSON: syntax error at byte 4"},
		{`01`, "there is more text after the JSON value, which ends at byte 1"},
	}
	for _, tt := range tests {
		value, err := decodeJSON(tt.text)
		if err == nil {
			t.Errorf("decodeJSON(%s) = %v, want an error", tt.text, value)
		} else if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("decodeJSON(%s):\n%s", tt.text, diff)
		}
	}
}

// FuzzDecodeJSON checks that what encoding/json accepts is accepted, that
// nothing else is, and that every number keeps its value to the last digit and
// prints without an exponent that it did not have.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`5432`, `-0`, `1.50`, `1e3`, `12e-1`, `-1200e-2`, `0.000e-7`, `9223372036854775808`, `1e18`, `1e19`, `1.0e-400`,
		`0e99999999999999999999`, `{"a":[1,2.5,{"b":1e2}],"c":null}`, `[true,"x"]`, `{"a":1} `, `{}x`, `"1"`, ` 7`, `nul`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := decodeJSON(text)
		if valid := json.Valid([]byte(text)); valid != (err == nil) {
			t.Fatalf("decodeJSON(%q): error %v, but valid is %v", text, err, valid)
		}
		if err != nil {
			if text != "" && len(text) > 3 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error quotes the text %q: %v", text, err)
			}
			return
		}
		compareNumbers(t, withNumbers(t, text), value)
	})
}

// withNumbers decodes text with the numbers as they are written.
func withNumbers(t *testing.T, text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func compareNumbers(t *testing.T, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		for name, value := range want {
			compareNumbers(t, value, got.(map[string]any)[name])
		}
	case []any:
		for i, value := range want {
			compareNumbers(t, value, got.([]any)[i])
		}
	case json.Number:
		printed := fmt.Sprint(got)
		if printed == string(want) {
			return
		}
		i, ok := got.(int64)
		if !ok {
			t.Fatalf("%s became %T %s", want, got, printed)
		}
		if exact, ok := new(big.Rat).SetString(string(want)); !ok || exact.Cmp(new(big.Rat).SetInt64(i)) != 0 {
			t.Fatalf("%s became %s", want, printed)
		}
		if strings.Trim(printed, "-0123456789") != "" {
			t.Fatalf("%s prints as %s", want, printed)
		}
	}
}

func TestArithmetic(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{add 1 2}} {{sub 1 2}} {{mul 3 4}} {{div 7 2}} {{mod 7 2}}`, "3 -1 12 3 1"},
		{`{{div -7 2}} {{mod -7 2}}`, "-3 -1"},
		{`{{add 1 2 3 4}} {{mul 2 3 4}}`, "10 24"},
		{`{{$d := json "{\"port\":5432,\"w\":2.5,\"f\":2.0,\"big\":9223372036854775808}"}}{{add $d.port 1}} {{add $d.f 1}}`, "5433 3"},
		{`{{add 1.0 2}}`, "3"},
		{`{{printf "%T" (add 1 2)}}`, "int"},
		{`{{seq 3 5}} {{seq 5 3}} {{seq 2 2}} {{len (seq 1 1000000)}}`, "[3 4 5] [] [2] 1000000"},
		{`{{atoi "5432"}} {{atoi "-1"}} {{atoi 5}} {{atoi (json "{\"a\":7}").a}}`, "5432 -1 5 7"},
		{`{{add 9223372036854775806 1}} {{sub -9223372036854775807 1}} {{mul -4611686018427387904 2}}`, "9223372036854775807 -9223372036854775808 -9223372036854775808"},
		{`{{range untilStep 0 10 3}}{{.}} {{end}}{{range until 3}}{{.}}{{end}} {{until -2}} {{untilStep 5 0 -2}} {{untilStep 0 5 -1}} {{untilStep 0 5 0}}`, "0 3 6 9 012 [0 -1] [5 3 1] [] []"},
	}
	for _, tt := range tests {
		if got := render(t, &Env{Store: NewStore()}, tt.template); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
	}
}

func TestArithmeticErrors(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{div 1 0}}`, "error calling div: division by zero"},
		{`{{mod 1 0}}`, "error calling mod: division by zero"},
		{`{{add 9223372036854775807 1}}`, "error calling add: the number is too large"},
		{`{{sub -9223372036854775808 1}}`, "error calling sub: the number is too large"},
		{`{{sub 0 -9223372036854775808}}`, "error calling sub: the number is too large"},
		{`{{mul 4611686018427387904 2}}`, "error calling mul: the number is too large"},
		{`{{mul -9223372036854775808 -1}}`, "error calling mul: the number is too large"},
		{`{{div -9223372036854775808 -1}}`, "error calling div: the number is too large"},
		{`{{add 1.5 1}}`, "error calling add: not a whole number; use addf, subf, mulf or divf for fractions, or int to cut them off"},
		{`{{add "1" 1}}`, "error calling add: text is not a number; use atoi to read one from text"},
		{`{{add 1 nil}}`, "error calling add: nothing is not a number"},
		{`{{add (seq 1 2) 1}}`, "error calling add: a list is not a number"},
		{`{{atoi "hunter2"}}`, "error calling atoi: the text is not a whole number"},
		{`{{atoi ""}}`, "error calling atoi: the text is not a whole number"},
		{`{{atoi "99999999999999999999"}}`, "error calling atoi: the number is too large"},
		{`{{seq 1 1000001}}`, "error calling seq: the list would have more than 1000000 items"},
		{`{{seq -9223372036854775808 9223372036854775807}}`, "error calling seq: the list would have more than 1000000 items"},
		{`{{until 1000001}}`, "error calling until: the list would have more than 1000000 items"},
		{`{{untilStep -9223372036854775808 9223372036854775807 1}}`, "error calling untilStep: the list would have more than 1000000 items"},
		{`{{repeat 64000001 "x"}}`, "error calling repeat: the result would be longer than 64 MB"},
		{`{{repeat -1 "x"}}`, "error calling repeat: cannot repeat text a negative number of times"},
	}
	for _, tt := range tests {
		if got := renderError(t, &Env{Store: NewStore()}, tt.template); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
	}
}
