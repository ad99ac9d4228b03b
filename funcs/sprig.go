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

// leftOut says for names that an author of templates may know from elsewhere
// what to use instead, or why there is nothing: each render of the same keys
// must give the same bytes, or every heartbeat would reload the proxy.
var leftOut = map[string]string{
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
}

// LeftOut tells what to use instead of a function that templates do not have
// although its author may know it from elsewhere, or why there is none. It
// returns false for every other name.
func LeftOut(name string) (reason string, ok bool) {
	for names, reason := range leftOut {
		if slices.Contains(strings.Fields(names), name) {
			return reason, true
		}
	}
	return "", false
}

// pureSprig are the functions that come from sprig, made once for all
// templates. A test lists them, so that a function that a new version brings
// is looked at before a template can call it.
var pureSprig = sync.OnceValue(func() template.FuncMap {
	chosen := sprig.GenericFuncMap()
	maps.DeleteFunc(chosen, func(name string, _ any) bool {
		_, out := LeftOut(name)
		return out || name == "slice" // text/template's knows text as well as lists.
	})
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
