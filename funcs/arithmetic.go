package funcs

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// maxSequence bounds the lists that a number in a template can ask for, so
// that a wrong number in a key cannot take the memory of the host.
const maxSequence = 1_000_000

// integer returns v as a whole number, for arithmetic.
func integer(v any) (int64, error) {
	n, ok := numberOf(v)
	if !ok {
		if _, isText := v.(string); isText {
			return 0, errors.New("text is not a number; use atoi to read one from text")
		}
		return 0, fmt.Errorf("%s is not a number", describe(v))
	}
	switch {
	case n.kind == isInteger:
		return n.integer, nil
	case n.kind == isFloat && n.float == math.Trunc(n.float) && math.Abs(n.float) < 1<<63:
		return int64(n.float), nil
	case n.kind == isLarge:
		return 0, errTooLarge
	}
	return 0, errors.New("not a whole number; use addf, subf, mulf or divf for fractions, or int to cut them off")
}

var errTooLarge = errors.New("the number is too large")

// arithmetic applies op to whole numbers from left to right. confd takes two
// ints; the same names in sprig take more of them, and any kind.
func arithmetic(op func(a, b int64) (int64, error), a any, more []any) (int, error) {
	total, err := integer(a)
	for _, b := range more {
		if err != nil {
			break
		}
		var next int64
		if next, err = integer(b); err == nil {
			total, err = op(total, next)
		}
	}
	return int(total), err
}

func add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, errTooLarge
	}
	return sum, nil
}

func sub(a, b int64) (int64, error) {
	difference := a - b
	if (difference < a) != (b > 0) && b != 0 {
		return 0, errTooLarge
	}
	return difference, nil
}

func mul(a, b int64) (int64, error) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if high != 0 || low > limit {
		return 0, errTooLarge
	}
	return a * b, nil
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

var errDivideByZero = errors.New("division by zero")

func div(a, b int64) (int64, error) {
	if b == 0 {
		return 0, errDivideByZero
	}
	if b == -1 {
		return sub(0, a)
	}
	return a / b, nil
}

func mod(a, b int64) (int64, error) {
	if b == 0 {
		return 0, errDivideByZero
	}
	return a % b, nil
}

// seq counts from first to last, both included; none if last comes before.
func seq(first, last any) ([]int, error) {
	from, err := integer(first)
	if err != nil {
		return nil, err
	}
	to, err := integer(last)
	if err != nil {
		return nil, err
	}
	if to < from {
		return nil, nil
	}
	if err := sequenceFits(uint64(to) - uint64(from)); err != nil {
		return nil, err
	}
	numbers := make([]int, 0, to-from+1)
	for i := from; i <= to; i++ {
		numbers = append(numbers, int(i))
	}
	return numbers, nil
}

func sequenceFits(length uint64) error {
	if length >= maxSequence {
		return fmt.Errorf("more than %d items", maxSequence)
	}
	return nil
}

// atoi reads a whole decimal number from text. A number, as json gives it,
// passes as it is, so that a template need not know which of the two it has.
func atoi(v any) (int, error) {
	text, ok := v.(string)
	if !ok {
		i, err := integer(v)
		return int(i), err
	}
	i, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errTooLarge
	case err != nil:
		return 0, errors.New("the text is not a whole number")
	}
	return i, nil
}
