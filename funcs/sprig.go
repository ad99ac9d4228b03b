package funcs

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// sprigNames are the functions that come from sprig. A test compares this list
// and those below with what sprig has, so that a function that a new version
// brings is looked at before a template can call it.
var sprigNames = strings.Fields(`
	default empty coalesce all any ternary fail

	trim trimAll trimall trimPrefix upper lower title untitle swapcase snakecase camelcase kebabcase
	substr trunc abbrev abbrevboth initials nospace repeat indent nindent wrap wrapWith
	hasPrefix hasSuffix quote squote cat plural splitList splitn toString toStrings
	regexMatch regexFind regexFindAll regexReplaceAll regexReplaceAllLiteral regexSplit regexQuoteMeta
	mustRegexMatch mustRegexFind mustRegexFindAll mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit

	int int64 float64 toDecimal add1 add1f addf subf mulf divf max min biggest maxf minf ceil floor round until untilStep

	list tuple first rest last initial append push prepend concat uniq without has compact chunk sortAlpha
	mustFirst mustRest mustLast mustInitial mustAppend mustPush mustPrepend mustUniq mustWithout mustHas
	mustCompact mustChunk mustSlice mustReverse
	dict set unset hasKey pluck keys values pick omit dig deepCopy mustDeepCopy deepEqual
	merge mergeOverwrite mustMerge mustMergeOverwrite

	toJson toPrettyJson toRawJson fromJson mustToJson mustToPrettyJson mustToRawJson mustFromJson
	b64enc b64dec b32enc b32dec sha1sum sha256sum sha512sum adler32sum
	urlParse urlJoin semver semverCompare clean ext isAbs osBase osClean osDir osExt osIsAbs

	typeOf typeIs typeIsLike kindOf kindIs
`)

// leftOut says for names that an author of templates may know from elsewhere
// what to use instead, or why there is nothing: each render of the same keys
// must give the same bytes, or every heartbeat would reload the proxy.
var leftOut = byName(map[string]string{
	"now ago": "it reads the clock; datetime does too, and a file that differs by datetime alone counts as unchanged",
	`date dateInZone date_in_zone dateModify date_modify mustDateModify must_date_modify htmlDate htmlDateInZone
	toDate mustToDate unixEpoch duration durationRound`: "datetime has the methods of Go's time.Time, as in (datetime.UTC.Format \"2006-01-02\")",
	"env expandenv": "getenv reads the environment",
	"getHostByName": "lookupIP reads the DNS and sorts what it answers",
	"shuffle randAlphaNum randAlpha randAscii randNumeric randBytes randInt uuidv4": "its result is random, so that the file would change all the time",
	"bcrypt htpasswd encryptAES decryptAES":                                         "templates encrypt nothing, and the result would differ at each render",
	`derivePassword genPrivateKey genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert
	genSignedCertWithKey buildCustomCert`: "keys, certificates and passwords are not made in templates",
	"hello": "it is of no use",

	"master": "Patroni's master is called primary here",
	"slaves": "Patroni's slaves are called replicas here",
})

// byName turns reasons by lists of names into reasons by name.
func byName(lists map[string]string) map[string]string {
	reasons := map[string]string{}
	for names, reason := range lists {
		for _, name := range strings.Fields(names) {
			reasons[name] = reason
		}
	}
	return reasons
}

// LeftOut tells what to use instead of a function that templates do not have
// although its author may know it from elsewhere, or why there is none. It
// returns false for every other name.
func LeftOut(name string) (reason string, ok bool) {
	reason, ok = leftOut[name]
	return reason, ok
}

// pureSprig are the functions of sprigNames that need no Env, made once for
// all templates.
var pureSprig = sync.OnceValue(func() template.FuncMap {
	all := sprig.GenericFuncMap()
	chosen := make(template.FuncMap, len(sprigNames))
	for _, name := range sprigNames {
		if f, ok := all[name]; ok {
			chosen[name] = f
		}
	}
	maps.Copy(chosen, template.FuncMap{
		// sprig's answer with the keys in the order in which Go happens to
		// walk over the map, which is another one at each render.
		"keys":   keysOf,
		"values": valuesOf,
		// sprig's sorts the list that it is given, which may be part of a
		// cluster that is rendered again.
		"sortAlpha": func(list any) ([]string, error) {
			items, err := texts(list)
			return slices.Sorted(slices.Values(items)), err
		},
		// The same numbers as in json.
		"mustFromJson": decodeJSON,
		"fromJson": func(text string) any {
			value, _ := decodeJSON(text)
			return value
		},
		"until":     until,
		"untilStep": untilStep,
		"repeat":    repeat,
	})
	return chosen
})

func keysOf(dicts ...map[string]any) []string {
	keys := []string{}
	for _, dict := range dicts {
		keys = slices.AppendSeq(keys, slices.Values(slices.Sorted(maps.Keys(dict))))
	}
	return keys
}

func valuesOf(dict map[string]any) []any {
	values := make([]any, 0, len(dict))
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		values = append(values, dict[key])
	}
	return values
}

// repeat is sprig's, with a bound.
func repeat(count int, text string) (string, error) {
	if count < 0 {
		return "", errors.New("cannot repeat text a negative number of times")
	}
	if len(text) > 0 && count > 64*maxSequence/len(text) {
		return "", errors.New("the result would be longer than 64 MB")
	}
	return strings.Repeat(text, count), nil
}
