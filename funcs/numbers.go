package funcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"pc4patroni/funcs/patroni"
)

// decodeJSON decodes one JSON value. A whole number that fits becomes an int64,
// however it is spelled, and prints as plain digits; every other number stays a
// json.Number, which prints as it is written. encoding/json's float64 would
// print 2592000 as 2.592e+06 and lose the last digits of a system identifier.
//
// Its errors tell where the text is wrong and never what it says.
func decodeJSON(text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("the text is empty, not JSON")
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	if err == nil {
		end := decoder.InputOffset()
		if _, err = decoder.Token(); err == io.EOF {
			return plainNumbers(value), nil
		}
		return nil, fmt.Errorf("the text goes on after the JSON value that ends at byte %d", end)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("the text is not JSON: wrong at byte %d", syntax.Offset)
	}
	return nil, errors.New("the text is not JSON: it ends too early")
}

// plainNumbers replaces the numbers in a decoded value, in place.
func plainNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		return plainNumber(value)
	case map[string]any:
		for name, field := range value {
			value[name] = plainNumbers(field)
		}
	case []any:
		for i, item := range value {
			value[i] = plainNumbers(item)
		}
	}
	return value
}

func plainNumber(n json.Number) any {
	if i, ok := whole(n); ok {
		return i
	}
	return n
}

// whole returns n as an int64 if it is a whole number that fits one. Spellings
// such as 1.0, 1e3 and 25e-1 are weighed by their value.
func whole(n json.Number) (int64, bool) {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i, true
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(string(n)), "e")
	if mantissa == string(n) && !strings.Contains(mantissa, ".") {
		return 0, false
	}
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil {
			return 0, false
		}
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	digits, fraction, _ := strings.Cut(mantissa, ".")
	fraction = strings.TrimRight(fraction, "0")
	digits = strings.TrimLeft(digits+fraction, "0")
	if digits == "" {
		return 0, true
	}
	if shift < -1000 || shift > 1000 {
		return 0, false
	}
	shift -= len(fraction)
	if shift < 0 {
		kept := strings.TrimRight(digits, "0")
		if len(digits)-len(kept) < -shift {
			return 0, false
		}
		digits, shift = digits[:len(digits)+shift], 0
	}
	if len(digits)+shift > 19 {
		return 0, false
	}
	i, err := strconv.ParseInt(sign+digits+strings.Repeat("0", shift), 10, 64)
	return i, err == nil
}

// number is a value of any of Go's kinds of numbers, or a json.Number. Exactly
// one of its fields says which; text is "" unless it is a json.Number.
type number struct {
	kind    numberKind
	integer int64
	large   uint64 // an unsigned number beyond int64
	float   float64
	text    json.Number
}

type numberKind int

const (
	isInteger numberKind = iota
	isLarge
	isFloat
	isText
)

// numberOf returns what v is as a number, and whether it is one.
func numberOf(v any) (number, bool) {
	if n, ok := v.(json.Number); ok {
		if i, ok := whole(n); ok {
			return number{kind: isInteger, integer: i}, true
		}
		_, err := n.Float64()
		return number{kind: isText, text: n}, err == nil || errors.Is(err, strconv.ErrRange)
	}
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return number{}, false
	case r.CanInt():
		return number{kind: isInteger, integer: r.Int()}, true
	case r.CanUint() && r.Uint() <= math.MaxInt64:
		return number{kind: isInteger, integer: int64(r.Uint())}, true
	case r.CanUint():
		return number{kind: isLarge, large: r.Uint()}, true
	case r.CanFloat():
		return number{kind: isFloat, float: r.Float()}, true
	}
	return number{}, false
}

// asFloat returns n as the nearest float64.
func (n number) asFloat() float64 {
	switch n.kind {
	case isInteger:
		return float64(n.integer)
	case isLarge:
		return float64(n.large)
	case isText:
		f, _ := n.text.Float64()
		return f
	}
	return n.float
}

// exact returns n in enough digits to tell any two numbers apart that a
// template can compare.
func (n number) exact() *big.Float {
	f := new(big.Float).SetPrec(256)
	switch n.kind {
	case isInteger:
		return f.SetInt64(n.integer)
	case isLarge:
		return f.SetUint64(n.large)
	case isText:
		if _, ok := f.SetString(string(n.text)); !ok {
			f.SetFloat64(n.asFloat()) // An exponent beyond all bounds: zero or infinite.
		}
		return f
	}
	return f.SetFloat64(n.float)
}

// compare orders two numbers by value, whatever their kinds. ordered is false
// if one of them is not a number at all (NaN).
func (n number) compare(m number) (order int, ordered bool) {
	if n.kind == isInteger && m.kind == isInteger {
		switch {
		case n.integer < m.integer:
			return -1, true
		case n.integer > m.integer:
			return 1, true
		}
		return 0, true
	}
	if math.IsNaN(n.asFloat()) || math.IsNaN(m.asFloat()) {
		return 0, false
	}
	if n.kind == isFloat && m.kind == isText || n.kind == isText && m.kind == isFloat {
		// 0.1 in a template is the float64 next to 0.1: so must 0.1 in JSON be.
		n, m = number{kind: isFloat, float: n.asFloat()}, number{kind: isFloat, float: m.asFloat()}
	}
	return n.exact().Cmp(m.exact()), true
}

// describe names the type of v for an error message, without its value.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case bool:
		return "a boolean"
	case *patroni.Member:
		return "a member"
	case *patroni.Cluster:
		return "a cluster"
	default:
		if _, ok := numberOf(v); ok {
			return "a number"
		}
		switch reflect.TypeOf(v).Kind() {
		case reflect.Slice, reflect.Array:
			return "a list"
		case reflect.Map:
			return "a map"
		}
		return fmt.Sprintf("%T", v)
	}
}
