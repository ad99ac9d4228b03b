package funcs

import (
	"slices"
	"strings"
)

// Positions in the write-ahead log change with every heartbeat. What a template cannot see
// of them need not be rendered.

// SeesNoPositions tells of a function that what it returns cannot depend on positions in the
// write-ahead log, but for the fields of what it returns.
func SeesNoPositions(function string) bool { return slices.Contains(blind, function) }

// ReadsKeys tells of a function that it returns the values of the keys that its first
// argument, a key or a pattern, names.
func ReadsKeys(function string) bool {
	return slices.Contains([]string{"get", "getv", "gets", "getvs"}, function)
}

var blind = strings.Fields(`
	cluster clusters primary promoted leader standbyLeader members replicas readers syncStandbys quorumVoters asyncReaders
	withTag withoutTag hasTag streaming withAPI orElse firstOf atLeast names hosts ports addrs
	exists ls lsdir base dir split join replace contains trimSuffix toUpper toLower parseBool add sub mul div mod seq atoi getenv hostname
	and or not eq ne lt le gt ge len index slice print println printf include
	list dict set hasKey keys values pluck first last rest initial append prepend concat reverse uniq without has compact chunk merge
	upper lower title trim trimAll trimPrefix trunc quote squote cat indent nindent nospace repeat substr hasPrefix hasSuffix
	regexMatch regexReplaceAll regexReplaceAllLiteral regexFind regexSplit sha256sum sha1sum adler32sum b64enc b64dec
	default empty coalesce ternary all any fail toString int int64 float64 max min add1 ceil floor round until untilStep sortAlpha kindIs kindOf`)
