package funcs

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// maxSequence bounds the lists that a number in a template can ask for, so
// that a wrong number in a key cannot take the memory of the host.
const maxSequence = 1_000_000

var (
	errTooLarge     = errors.New("the number is too large")
	errTooLong      = fmt.Errorf("the list would have more than %d items", maxSequence)
	errDivideByZero = errors.New("division by zero")
)

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
	case n.isWhole:
		return n.integer, nil
	case n.float >= 1<<63 || n.float <= -(1<<63):
		return 0, errTooLarge
	}
	return 0, errors.New("not a whole number; use addf, subf, mulf or divf for fractions, or int to cut them off")
}

// arithmetic applies op, a method of big.Int, to whole numbers from left to
// right. confd takes two ints; the same names in sprig take more of them, and
// any kind.
func arithmetic(op func(z, x, y *big.Int) *big.Int, numbers ...any) (int, error) {
	var total *big.Int
	for _, v := range numbers {
		n, err := integer(v)
		if err != nil {
			return 0, err
		}
		if total == nil {
			total = big.NewInt(n)
		} else {
			op(total, total, big.NewInt(n))
		}
	}
	if !total.IsInt64() {
		return 0, errTooLarge
	}
	return int(total.Int64()), nil
}

// division is arithmetic for a quotient or a remainder.
func division(op func(z, x, y *big.Int) *big.Int) func(a, b any) (int, error) {
	return func(a, b any) (int, error) {
		if n, err := integer(b); err == nil && n == 0 {
			return 0, errDivideByZero
		}
		return arithmetic(op, a, b)
	}
}

// seq counts from first to last, both included; none if last comes before.
func seq(first, last any) ([]int, error) {
	from, err := integer(first)
	if err != nil {
		return nil, err
	}
	to, err := integer(last)
	if err != nil || to < from {
		return nil, err
	}
	count := to - from + 1
	if count <= 0 || count > maxSequence { // Too many even for an int64 wrap around.
		return nil, errTooLong
	}
	numbers := make([]int, count)
	for i := range numbers {
		numbers[i] = int(from) + i
	}
	return numbers, nil
}

// untilStep counts from start up or down to stop, which is not included.
func untilStep(start, stop, step int) ([]int, error) {
	numbers := []int{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(numbers) == maxSequence {
			return nil, errTooLong
		}
		numbers = append(numbers, i)
		if next := i + step; (next > i) != (step > 0) {
			break // It would wrap around.
		}
	}
	return numbers, nil
}

// until counts from 0 up or down to stop, which is not included.
func until(stop int) ([]int, error) {
	if stop < 0 {
		return untilStep(0, stop, -1)
	}
	return untilStep(0, stop, 1)
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
