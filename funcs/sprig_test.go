package funcs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/sprig/v3"
	"github.com/google/go-cmp/cmp"
)

// sprigNames are the functions that templates take from sprig.
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

// TestSprigIsSortedOut fails when a version of sprig has a function that is
// neither taken nor left out on purpose, or lacks one that is.
func TestSprigIsSortedOut(t *testing.T) {
	placed := map[string]string{}
	place := func(where string, names []string) {
		for _, name := range names {
			if other, twice := placed[name]; twice {
				t.Errorf("%s is %s and %s", name, other, where)
			}
			placed[name] = where
		}
	}
	place("taken", sprigNames)
	place("shadowed", shadowed)
	all := sprig.GenericFuncMap()
	for names := range leftOut {
		for name := range strings.FieldsSeq(names) {
			if all[name] != nil {
				place("left out", []string{name})
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(placed))); diff != "" {
		t.Errorf("sprig's functions (-) and the lists (+) differ:\n%s", diff)
	}

	env := &Env{Store: NewStore()}
	functions := Map(env)
	confd, ours := env.confdFuncs(), env.patroniFuncs()
	for _, name := range sprigNames {
		if functions[name] == nil {
			t.Errorf("%s is taken, but not in Map", name)
		}
		if confd[name] != nil || ours[name] != nil {
			t.Errorf("%s is taken from sprig and replaced", name)
		}
	}
	for names := range leftOut {
		for name := range strings.FieldsSeq(names) {
			if functions[name] != nil {
				t.Errorf("%s is left out, but in Map", name)
			}
			if reason, ok := LeftOut(name); !ok || reason == "" {
				t.Errorf("LeftOut(%q) gives no reason", name)
			}
		}
	}
	for _, name := range shadowed {
		if (confd[name] == nil) != (name == "slice") || (functions[name] == nil) != (name == "slice") {
			t.Errorf("%s is shadowed by nothing", name)
		}
	}
	if _, ok := LeftOut("primary"); ok {
		t.Error("primary is not left out")
	}
}

// TestSprigMeansSprig compares the functions that are wrapped here with
// sprig's own on values that both accept.
func TestSprigMeansSprig(t *testing.T) {
	for _, text := range []string{
		`{{keys (dict "a" 1)}} {{values (dict "a" 1)}} {{keys (dict)}} {{keys}}`,
		`{{sortAlpha (list "b" "a" 3)}} {{sortAlpha (splitList "," "c,b")}}`,
		`{{fromJson "{\"a\":[1,\"x\",true,null]}"}} {{fromJson "x"}} {{mustFromJson "[]"}}`,
		`{{until 5}} {{until 0}} {{until -3}} {{untilStep 0 10 5}} {{untilStep 10 0 -3}} {{untilStep 3 0 1}} {{untilStep 0 3 -1}} {{untilStep 1 1 1}}`,
		`{{repeat 3 "ab"}} {{repeat 0 "x"}} {{repeat 5 ""}}`,
		`{{$d := dict "a" 1}}{{$_ := set $d "b" 2}}{{$d}} {{$_ := unset $d "a"}}{{$d}} {{merge (dict "a" 1) (dict "a" 2 "b" 3)}} {{mergeOverwrite (dict "a" 1) (dict "a" 2)}} {{mustMerge (dict) $d}} {{mustMergeOverwrite $d (dict "b" 4)}}`,
		`{{default "x" ""}} {{coalesce "" 0 "y"}} {{ternary "a" "b" true}} {{toJson (dict "b" 1 "a" (list 1 2))}} {{indent 2 "a\nb"}} {{quote "a\"b"}} {{regexReplaceAll "[^0-9]" "a1b2" ""}} {{hasKey (dict "a" 1) "a"}} {{sha256sum "x"}}`,
	} {
		want, err := run(parse(t, sprig.TxtFuncMap(), text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := render(t, &Env{Store: NewStore()}, text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestSprigIsDeterministic(t *testing.T) {
	env := &Env{Store: NewStore()}
	if got, want := render(t, env, `{{$d := json "{\"d\":4,\"b\":2,\"a\":1,\"e\":5,\"c\":3}"}}{{keys $d}} {{values $d}} {{keys (dict "z" 1) $d}}`), "[a b c d e] [1 2 3 4 5] [z a b c d e]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := render(t, env, `{{$l := list "b" "a"}}{{sortAlpha $l}} {{$l}} {{$s := splitList "," "b,a"}}{{sortAlpha $s}} {{$s}}`), "[a b] [b a] [a b] [b a]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestShadowedKeepConfdsOrder calls the functions that sprig and confd both
// have with arguments that tell the two apart.
func TestShadowedKeepConfdsOrder(t *testing.T) {
	env := &Env{Store: storeOf(map[string]string{"/a": "1"})}
	text := `{{(get "/a").Value}} {{split "a,b" ","}} {{replace "aXb" "X" "-" -1}} {{contains "haystack" "hay"}} {{trimSuffix "a.b" ".b"}} {{seq 1 3}} {{slice "abcdef" 1 3}} {{slice (list 1 2 3) 1}}`
	if got, want := render(t, env, text), "1 [a b] a-b true a [1 2 3] bc [2 3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// shadowed are the functions of sprig that give way to another of that name:
// confd's, with another order of arguments, or text/template's slice, which
// knows text as well as lists.
var shadowed = strings.Fields(`
	get base dir split join replace contains trimSuffix reverse add sub mul div mod seq atoi slice
`)

// functionNames returns the names of all functions of Map, sorted.
func functionNames() []string {
	return slices.Sorted(maps.Keys(Map(&Env{})))
}
