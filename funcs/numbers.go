package funcs

import (
	"cmp"
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
// every other one a json.Number, which prints as it is written: float64 would
// print 2592000 as 2.592e+06 and lose the last digits of a system identifier.
// Errors tell where the text is wrong and never what it says.
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
		return nil, fmt.Errorf("there is more text after the JSON value, which ends at byte %d", end)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("the text is not JSON: syntax error at byte %d", syntax.Offset)
	}
	return nil, errors.New("the text is not complete JSON: it ends too early")
}

// plainNumbers replaces the whole numbers in a decoded value, in place.
func plainNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if i, ok := whole(value); ok {
			return i
		}
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

// whole returns n as an int64 if it is a whole number that fits one. Spellings
// such as 1.0, 1e3 and 2500e-2 count by their value, as long as that takes no
// more memory than they do.
func whole(n json.Number) (int64, bool) {
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	_, exponent, _ := strings.Cut(strings.ToLower(string(n)), "e")
	if len(n) > 100 || len(exponent) > 3 {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(string(n))
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	return exact.Num().Int64(), true
}

// A number is a value of any of Go's kinds of numbers, or a json.Number: an
// integer if it is whole and fits, else the nearest float64.
type number struct {
	isWhole bool
	integer int64
	float   float64
}

// numberOf returns what v is as a number, and whether it is one.
func numberOf(v any) (number, bool) {
	if n, ok := v.(json.Number); ok {
		if i, ok := whole(n); ok {
			return number{true, i, float64(i)}, true
		}
		f, err := n.Float64() // Beyond all bounds it is infinite.
		return number{float: f}, err == nil || errors.Is(err, strconv.ErrRange)
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return number{true, r.Int(), float64(r.Int())}, true
	case r.CanUint():
		return number{r.Uint() <= math.MaxInt64, int64(r.Uint()), float64(r.Uint())}, true
	case r.CanFloat():
		f := r.Float()
		return number{f == math.Trunc(f) && math.Abs(f) < 1<<63, int64(f), f}, true
	}
	return number{}, false
}

// compareAsNumbers orders two numbers by value, whatever their kinds. ok tells
// whether both are numbers, and ordered is false if one of them is NaN.
func compareAsNumbers(a, b any) (order int, ordered, ok bool) {
	n, ok := numberOf(a)
	m, alsoOK := numberOf(b)
	if n.isWhole && m.isWhole {
		return cmp.Compare(n.integer, m.integer), true, ok && alsoOK
	}
	return cmp.Compare(n.float, m.float), !math.IsNaN(n.float) && !math.IsNaN(m.float), ok && alsoOK
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
