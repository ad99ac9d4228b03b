package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const completionDir = "../../packaging/completion/"

const generated = "# Written by: go test ./internal/config -run TestCompletion -update\n"

// TestCompletion compares the completions for shells with the options. With
// -update it writes them.
func TestCompletion(t *testing.T) {
	for name, want := range map[string]string{
		"pc4patroni.bash": bashCompletion(), "_pc4patroni": zshCompletion(), "pc4patroni.fish": fishCompletion(),
	} {
		if *update {
			if err := os.WriteFile(completionDir+name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(want, readText(t, completionDir+name)); diff != "" {
			t.Errorf("%s is stale; run go test ./internal/config -run TestCompletion -update (-want +got):\n%s", name, diff)
		}
	}
}

// names returns the flags for which the condition holds.
func names(of func(*option) bool) string {
	var all []string
	for _, o := range options {
		if of(o) {
			all = append(all, "-"+o.name)
		}
	}
	return strings.Join(all, "|")
}

func takesFile(o *option) bool { return o.arg == "FILE" }

func takesDir(o *option) bool { return o.arg == "DIR" }

// takesText is for what no shell can know.
func takesText(o *option) bool {
	return o.arg != "" && o.words == nil && !takesFile(o) && !takesDir(o)
}

func bashCompletion() string {
	var words strings.Builder
	for _, o := range options {
		if o.words != nil {
			fmt.Fprintf(&words, "        -%s) words=%q ;;\n", o.name, strings.Join(o.words, " "))
		}
	}
	flags := strings.ReplaceAll(names(func(*option) bool { return true }), "|", " ")
	return "# bash completion for pc4patroni\n" + generated + fmt.Sprintf(`_pc4patroni() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} words=
    if [[ $cur == = ]]; then
        cur=
    elif [[ $flag == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case ${flag/#--/-} in
        %s)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        %s)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return ;;
        %s) return ;;
%s        *) cur=${cur/#--/-} words="%s -help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
} && complete -F _pc4patroni pc4patroni
`, names(takesFile), names(takesDir), names(takesText), words.String(), flags)
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef pc4patroni\n" + generated + "_arguments \\\n")
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`)
	for _, o := range options {
		spec := "-" + o.name
		if o.arg != "" {
			spec += "="
		}
		spec += "[" + escape.Replace(o.help) + "]"
		switch {
		case o.words != nil:
			spec += ":" + o.arg + ":(" + strings.Join(o.words, " ") + ")"
		case takesFile(o):
			spec += ":" + o.arg + ":_files"
		case takesDir(o):
			spec += ":" + o.arg + ":_files -/"
		case o.arg != "":
			spec += ":" + o.arg + ":"
		}
		if o.isList() {
			spec = "*" + spec
		}
		fmt.Fprintf(&b, "    '%s' \\\n", spec)
	}
	return b.String() + "    '-help[print the flags]'\n"
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion for pc4patroni\n" + generated + "complete -c pc4patroni -f\n")
	escape := strings.NewReplacer(`\`, `\\`, "'", `\'`)
	for _, o := range options {
		rest := ""
		switch {
		case o.words != nil:
			rest = " -x -a '" + strings.Join(o.words, " ") + "'"
		case takesFile(o):
			rest = " -r -F"
		case takesDir(o):
			rest = " -x -a '(__fish_complete_directories)'"
		case o.arg != "":
			rest = " -x"
		}
		fmt.Fprintf(&b, "complete -c pc4patroni -o %s%s -d '%s'\n", o.name, rest, escape.Replace(o.help))
	}
	return b.String() + "complete -c pc4patroni -o help -d 'print the flags'\n"
}

// TestBashCompletion types into bash.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	script, err := filepath.Abs(completionDir + "pc4patroni.bash")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"keys one.json", "keys-two.json", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		words string // as bash splits them, at spaces and around =
		want  []string
	}{
		{"-cl", []string{"-client-cert", "-client-key", "-client-ca-keys", "-client-insecure"}},
		{"--ver", []string{"-version"}},
		{"-log-format ''", []string{"text", "json"}},
		{"-log-format = j", []string{"json"}},
		{"--backend =", []string{"etcd", "etcdv3", "file"}},
		{"-file key", []string{"keys one.json", "keys", "keys-two.json"}},
		{"-confdir k", []string{"keys"}},
		{"-prefix k", nil},
		{"-noop -exit", []string{"-exit-code"}},
	}
	for _, tt := range tests {
		command := exec.Command(bash, "-c", `compopt() { :; }; . "$0"; COMP_WORDS=(pc4patroni `+tt.words+`); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_pc4patroni; for reply in "${COMPREPLY[@]}"; do echo "$reply"; done`, script)
		command.Dir = dir
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", tt.words, err, out)
			continue
		}
		var got []string
		for reply := range strings.Lines(string(out)) {
			got = append(got, strings.TrimSuffix(reply, "\n"))
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.words, diff)
		}
	}
}
