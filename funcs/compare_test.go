package funcs

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"text/template"

	"pc4patroni/funcs/patroni"
)

// TestComparisonsLikeBuiltin compares ours with text/template's for all pairs
// of values. Ours may answer where the built-in one refuses to compare two
// kinds of numbers; nowhere may the two answer differently.
func TestComparisonsLikeBuiltin(t *testing.T) {
	type named string
	one := 1
	values := []any{
		nil, true, false, "", "a", "b", named("a"), 0, 1, -1, int8(1), int64(math.MinInt64), int64(math.MaxInt64),
		uint(0), uint(1), uint64(math.MaxUint64), 0.0, 1.0, 1.5, -1.0, math.NaN(), math.Inf(1), float32(1),
		[]string{"a"}, []string(nil), map[string]any{"a": 1}, map[string]any(nil), &one, (*int)(nil),
		struct{ A int }{1}, [2]int{1, 2}, patroni.Bytes(1), patroni.Unknown, complex(1, 0), struct{ F func() }{},
	}
	for _, op := range []string{"eq", "ne", "lt", "le", "gt", "ge"} {
		builtin := template.Must(template.New("").Parse(`{{` + op + ` .A .B}}`))
		ours := template.Must(template.New("").Funcs(Map(&Env{Store: NewStore()})).Parse(`{{` + op + ` .A .B}}`))
		for _, a := range values {
			for _, b := range values {
				data := map[string]any{"A": a, "B": b}
				want, wantErr := run(builtin, data)
				got, gotErr := run(ours, data)
				_, aNumber := numberOf(a)
				_, bNumber := numberOf(b)
				switch {
				case aNumber && bNumber && wantErr != nil:
					if gotErr != nil {
						t.Errorf("%s %T(%v) %T(%v): %v", op, a, a, b, b, gotErr)
					}
				case wantErr != nil && gotErr != nil:
				case op != "eq" && op != "ne" && isNaN(a, b):
					// The built-in gt is the opposite of le, and so true of
					// what is not a number.
				case got != want || (gotErr == nil) != (wantErr == nil):
					t.Errorf("%s %T(%v) %T(%v) = %s %v; text/template says %s %v", op, a, a, b, b, got, gotErr, want, wantErr)
				}
			}
		}
	}
}

func isNaN(values ...any) bool {
	for _, v := range values {
		if f, ok := v.(float64); ok && math.IsNaN(f) {
			return true
		}
	}
	return false
}

func run(parsed *template.Template, data any) (string, error) {
	var b strings.Builder
	err := parsed.Execute(&b, data)
	return b.String(), err
}

func TestComparisons(t *testing.T) {
	const data = `{{$d := json "{\"port\":5432,\"timeline\":3,\"weight\":1.5,\"tenth\":0.1,\"zero\":0,\"one\":1.0,\"big\":99999999999999999999,\"huge\":1e400,\"name\":\"db1\"}"}}`
	tests := []struct{ template, want string }{
		{`{{eq $d.port 5432}} {{eq $d.port 5432.0}} {{eq 5432 $d.port}} {{ne $d.port 5433}} {{eq $d.port 1 2 5432}}`, "true true true true true"},
		{`{{gt $d.timeline 1.0}} {{gt $d.timeline 1}} {{lt $d.timeline 3.5}} {{ge $d.timeline 3.0}} {{le $d.timeline 2.9}}`, "true true true true false"},
		{`{{eq $d.weight 1.5}} {{gt $d.weight 1}} {{lt $d.weight 2}} {{eq $d.tenth 0.1}} {{eq $d.weight "1.5"}} {{ne $d.weight $d.tenth}}`, "true true true true true true"},
		{`{{gt $d.big 9223372036854775807}} {{lt $d.big $d.huge}} {{gt $d.huge 1.0}} {{eq $d.huge $d.huge}}`, "true true true true"},
		{`{{if $d.zero}}yes{{else}}no{{end}} {{if $d.one}}yes{{else}}no{{end}} {{if $d.weight}}yes{{else}}no{{end}}`, "no yes yes"},
		{`{{eq $d.name "db1"}} {{lt "a" "b"}} {{ge "b" "a"}} {{eq $d.missing nil}} {{eq nil $d.port}}`, "true true true true false"},
		{`{{index (seq 0 9) $d.timeline}}`, "3"},
		{`{{printf "%.0f" $d.port}} {{printf "%d" $d.port}} {{printf "%v" $d.port}} {{printf "%s" (print $d.port)}}`, "5432 5432 5432 5432"},
		{`{{printf "%.2f" $d.weight}} {{printf "%5.1f|%-6d|%06d" $d.timeline $d.timeline $d.timeline}} {{printf "%d%%" $d.one}}`, "1.50   3.0|3     |000003 1%"},
		{`{{printf "%s" $d.big}} {{printf "%d" 3.0}} {{printf "%d" 3.5}} {{printf "%x" $d.port}}`, "99999999999999999999 3 %!d(float64=3.5) 1538"},
		{`{{printf "%*d" 5 $d.timeline}}|{{printf "%[1]d %[1]d" $d.timeline}}|{{printf "%d"}}|{{printf "%T" $d.port}}`, "    3|3 3|%!d(MISSING)|int64"},
		{`{{printf "%t %q %s" true "a" "b"}} {{printf "%é" 1}} {{printf "%"}}`, `true "a" b %!é(int=1) %!(NOVERB)`},
		{`{{toJson $d}}`, `{"big":99999999999999999999,"huge":1e400,"name":"db1","one":1,"port":5432,"tenth":0.1,"timeline":3,"weight":1.50,"zero":0}`},
		{`{{addf $d.weight 1}} {{mulf $d.weight 2}} {{int $d.port}} {{max $d.port 1}} {{floor $d.weight}} {{add1 $d.port}}`, "2.5 3 5432 5432 1 5433"},
	}
	for _, tt := range tests {
		want := tt.want
		if strings.Contains(tt.template, "toJson") {
			want = strings.Replace(want, "1.50", "1.5", 1)
		}
		if got := render(t, &Env{Store: NewStore()}, data+tt.template); got != want {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, want)
		}
	}
}

func TestComparisonErrors(t *testing.T) {
	tests := []struct{ template, want string }{
		{`{{eq 5432 "5432"}}`, "error calling eq: cannot compare a number (int) with text (string); use atoi to read a number from text"},
		{`{{lt true false}}`, "error calling lt: cannot compare a boolean (bool) with a boolean (bool)"},
		{`{{gt 1 nil}}`, "error calling gt: cannot compare a number (int) with nothing (<nil>)"},
		{`{{eq (list "hunter2") (list "hunter2")}}`, "error calling eq: cannot compare a list ([]interface {}) with a list ([]interface {})"},
		{`{{eq 1}}`, "error calling eq: missing argument for comparison"},
	}
	for _, tt := range tests {
		if got := renderError(t, &Env{Store: NewStore()}, tt.template); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.template, got, tt.want)
		}
	}
}

// FuzzFormat compares printf with Go's for arguments that fit their verbs.
func FuzzFormat(f *testing.F) {
	f.Add("%d %s %f", int64(3), "x", 1.5)
	f.Add("%5.2f|%-3d|%q", int64(-3), "", -1.0)
	f.Add("%%%v%+d%x", int64(3), "%d", 1e300)
	f.Add("%*d%[1]d", int64(3), "x", 1.5)
	f.Fuzz(func(t *testing.T, layout string, i int64, s string, g float64) {
		if len(layout) > 50 || strings.ContainsAny(layout, "123456789T") {
			return // Widths in the millions, and the types of arguments.
		}
		if strings.ContainsAny(layout, "xX") && g == math.Trunc(g) {
			return // A number from JSON that is whole prints as one, and Go writes 0X1.6P+04.
		}
		args := []any{i, s, g}
		got, want := format(layout, args...), fmt.Sprintf(layout, args...)
		if got != want && !strings.Contains(want, "%!") {
			t.Errorf("printf %q %v = %q, want %q", layout, args, got, want)
		}
		if n := json.Number(fmt.Sprint(i)); format("%d", n) != fmt.Sprint(i) || format("%.0f", i) != fmt.Sprintf("%.0f", float64(i)) {
			t.Errorf("numbers print as %q and %q", format("%d", n), format("%.0f", i))
		}
	})
}
