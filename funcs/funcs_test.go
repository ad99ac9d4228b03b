package funcs

import (
	"strings"
	"testing"
)

// render executes text with the functions of env.
func render(t *testing.T, env *Env, text string) string {
	t.Helper()
	var b strings.Builder
	if err := parse(t, Map(env), text).Execute(&b, nil); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return b.String()
}

// renderError executes text, which must fail, and returns the error.
func renderError(t *testing.T, env *Env, text string) string {
	t.Helper()
	var b strings.Builder
	err := parse(t, Map(env), text).Execute(&b, nil)
	if err == nil {
		t.Errorf("%s gives %q, want an error", text, b.String())
		return ""
	}
	return err.Error()
}
