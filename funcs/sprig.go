package funcs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// sprigNames are the functions that come from sprig. A test compares this list
// and those below with what sprig has, so that a function that a new version
// brings is looked at before a template can call it.
var sprigNames = strings.Fields(`
	default empty coalesce all any ternary fail hello

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
	b64enc b64dec b32enc b32dec sha1sum sha256sum sha512sum adler32sum decryptAES buildCustomCert
	urlParse urlJoin semver semverCompare clean ext isAbs osBase osClean osDir osExt osIsAbs

	date dateInZone date_in_zone dateModify date_modify mustDateModify must_date_modify htmlDate htmlDateInZone
	toDate mustToDate unixEpoch duration durationRound

	typeOf typeIs typeIsLike kindOf kindIs
`)

// leftOut are the functions of sprig that templates do not get, and why: each
// render of the same keys must give the same bytes, or every heartbeat would
// reload the proxy.
var leftOut = map[string]string{
	"now":           "it reads the clock; datetime does too, and a file that differs by datetime alone counts as unchanged",
	"ago":           "it reads the clock, so that the file would change all the time",
	"env":           "getenv reads the environment",
	"expandenv":     "getenv reads the environment",
	"getHostByName": "lookupIP reads the DNS and sorts what it answers",

	"shuffle":      "its result is random, so that the file would change all the time",
	"randAlphaNum": "its result is random, so that the file would change all the time",
	"randAlpha":    "its result is random, so that the file would change all the time",
	"randAscii":    "its result is random, so that the file would change all the time",
	"randNumeric":  "its result is random, so that the file would change all the time",
	"randBytes":    "its result is random, so that the file would change all the time",
	"randInt":      "its result is random, so that the file would change all the time",
	"uuidv4":       "its result is random, so that the file would change all the time",
	"bcrypt":       "it uses a random salt, so that the file would change all the time",
	"htpasswd":     "it uses a random salt, so that the file would change all the time",
	"encryptAES":   "it starts from random bytes, so that the file would change all the time",

	"derivePassword":           "keys and passwords are not made in templates",
	"genPrivateKey":            "keys and passwords are not made in templates",
	"genCA":                    "keys and passwords are not made in templates",
	"genCAWithKey":             "keys and passwords are not made in templates",
	"genSelfSignedCert":        "keys and passwords are not made in templates",
	"genSelfSignedCertWithKey": "keys and passwords are not made in templates",
	"genSignedCert":            "keys and passwords are not made in templates",
	"genSignedCertWithKey":     "keys and passwords are not made in templates",
}

// LeftOut tells why a template cannot call a function of sprig that its author
// may know from elsewhere. It returns false for every other name.
func LeftOut(name string) (reason string, ok bool) {
	reason, ok = leftOut[name]
	return reason, ok
}

// shadowed are the functions of sprig that give way to another of that name:
// confd's, with another order of arguments, or text/template's slice, which
// knows text as well as lists.
var shadowed = strings.Fields(`
	get base dir split join replace contains trimSuffix reverse add sub mul div mod seq atoi slice
`)

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
	for name, f := range chosen {
		chosen[name] = withoutClock(name, f)
	}
	return chosen
})

// withoutClock makes an error of what sprig's functions of dates take for the
// present: anything that is not a time.
func withoutClock(name string, f any) any {
	switch f := f.(type) {
	case func(string, any) string:
		if name == "date" {
			return func(layout string, date any) (string, error) {
				return guardTime(date, func() string { return f(layout, date) })
			}
		}
	case func(any) string:
		switch name {
		case "htmlDate":
			return func(date any) (string, error) {
				return guardTime(date, func() string { return f(date) })
			}
		case "durationRound":
			return func(duration any) (string, error) {
				if _, ok := duration.(time.Time); ok {
					return "", errors.New("the time since a date changes at each render; durationRound rounds durations")
				}
				return f(duration), nil
			}
		}
	case func(any, string) string:
		if name == "htmlDateInZone" {
			return func(date any, zone string) (string, error) {
				return guardTime(date, func() string { return f(date, zone) })
			}
		}
	case func(string, any, string) string:
		return func(layout string, date any, zone string) (string, error) {
			return guardTime(date, func() string { return f(layout, date, zone) })
		}
	}
	return f
}

func guardTime(date any, f func() string) (string, error) {
	switch date.(type) {
	case time.Time, *time.Time, int64, int, int32:
		return f(), nil
	}
	return "", fmt.Errorf("%s is not a time; give it datetime, toDate or seconds since 1970", describe(date))
}

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

// mutating returns the functions of sprig that change the map which they are
// given. It may be part of a decoded cluster, which must not remember that at
// the next render: so the cluster is decoded again.
func (e *Env) mutating() template.FuncMap {
	type dict = map[string]any
	all := pureSprig()
	set := all["set"].(func(dict, string, any) dict)
	unset := all["unset"].(func(dict, string) dict)
	functions := template.FuncMap{
		"set": func(d dict, key string, value any) dict {
			e.Store.clusters.forget()
			return set(d, key, value)
		},
		"unset": func(d dict, key string) dict {
			e.Store.clusters.forget()
			return unset(d, key)
		},
	}
	for _, name := range []string{"merge", "mergeOverwrite"} {
		merge := all[name].(func(dict, ...dict) any)
		functions[name] = func(d dict, others ...dict) any {
			e.Store.clusters.forget()
			return merge(d, others...)
		}
	}
	for _, name := range []string{"mustMerge", "mustMergeOverwrite"} {
		merge := all[name].(func(dict, ...dict) (any, error))
		functions[name] = func(d dict, others ...dict) (any, error) {
			e.Store.clusters.forget()
			return merge(d, others...)
		}
	}
	return functions
}
