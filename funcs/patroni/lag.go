package patroni

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Bytes is an amount of WAL in bytes, mostly a lag.
type Bytes int64

// Unknown is the lag of a member about which the store says nothing. It is
// larger than every other lag, so that it is below no limit.
const Unknown Bytes = math.MaxInt64

// Known tells whether b is an amount rather than Unknown.
func (b Bytes) Known() bool { return b != Unknown }

// String returns the plain number of bytes, or "unknown".
func (b Bytes) String() string {
	if b == Unknown {
		return unknown
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalJSON writes the number of bytes, or null for Unknown.
func (b Bytes) MarshalJSON() ([]byte, error) {
	if b == Unknown {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(b), 10), nil
}

// units are those of ParseBytes, in bytes.
var units = map[string]Bytes{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// ParseBytes returns the number of bytes that text stands for, in the notation
// of PostgreSQL's configuration and of "/replica?lag=": a number, which may
// have a fraction, and perhaps a unit of B, kB, MB, GB and TB, in exactly this
// case. To Patroni a limit that it cannot read means none at all (Patroni:
// utils.py parse_int); here it is an error.
func ParseBytes(text string) (Bytes, error) {
	digits := strings.TrimRightFunc(strings.TrimSpace(text), unicode.IsLetter)
	unit := strings.TrimSpace(text)[len(digits):]
	amount, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil {
		return 0, fmt.Errorf("parse size %q: %w", text, errSize)
	}
	size, ok := units[unit]
	if !ok {
		for known := range units {
			if strings.EqualFold(known, unit) {
				return 0, fmt.Errorf("parse size %q: the unit is written %q: %w", text, known, errSize)
			}
		}
		return 0, fmt.Errorf("parse size %q: unknown unit %q: %w", text, unit, errSize)
	}
	bytes := math.Round(amount * float64(size))
	switch {
	case bytes < 0:
		return 0, fmt.Errorf("parse size %q: it is negative: %w", text, errSize)
	case !(bytes < float64(Unknown)):
		return 0, fmt.Errorf("parse size %q: it is too large: %w", text, errSize)
	}
	return Bytes(bytes), nil
}

var errSize = errors.New(`want a number of bytes, or a number with one of the units B, kB, MB, GB and TB, such as "16MB"`)

// lag returns how many bytes position is behind optime, never less than 0.
// Without either of them it is Unknown: Patroni's tools show 0 where only
// optime is missing, which would pass for a member that is up to date.
func lag(optime, position int64) Bytes {
	if optime == 0 || position == 0 {
		return Unknown
	}
	return Bytes(max(optime-position, 0))
}

// setLags sets the lags of m behind the leader's position.
func (m *Member) setLags(optime int64) {
	if m.IsLeader {
		m.Lag, m.ReceiveLag, m.ReplayLag = 0, 0, 0
		return
	}
	m.ReceiveLag = lag(optime, cmp.Or(m.ReceiveLSN, m.XLogLocation))
	m.ReplayLag = lag(optime, m.ReplayLSN)
	m.Lag = m.ReplayLag
	if !m.Lag.Known() {
		m.Lag = m.ReceiveLag
	}
}
