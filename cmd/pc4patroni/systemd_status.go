package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"pc4patroni/resource"
)

const (
	// mentioned is how many resources the status names.
	mentioned = 3
	// errorShown is how many characters of an error the status shows.
	errorShown = 240
	// wordsShown is how many bytes the status has at most. systemd does not read
	// a message of more than 4096.
	wordsShown = 3000
)

// statusWords says in one line how the daemon is doing: what systemctl status
// shows.
func statusWords(status resource.Status) string {
	clauses := []string{countWords(status.Results)}
	var trouble []string
	for _, r := range status.Results {
		if words := troubleWords(r); words != "" {
			trouble = append(trouble, words)
		}
	}
	if more := len(trouble) - mentioned; more > 0 {
		trouble = append(trouble[:mentioned], fmt.Sprintf("and %d more", more))
	}
	clauses = append(clauses, trouble...)
	for _, key := range slices.Sorted(maps.Keys(status.Backends)) {
		b := status.Backends[key]
		if b.Connected || b.Err == nil {
			continue
		}
		clauses = append(clauses, fmt.Sprintf("%s away since %s: %s", oneLine(key), b.Since.Format("2006-01-02 15:04:05"), oneLine(b.Err.Error())))
	}
	words := strings.Join(clauses, "; ")
	if len(words) > wordsShown {
		words = strings.ToValidUTF8(words[:wordsShown], "") + "..."
	}
	return words
}

// countWords counts what runs. A resource whose new version is broken goes on
// as it was, and is there twice.
func countWords(results []resource.Result) string {
	var inSync, all int
	for _, r := range results {
		if r.Dest == "" {
			continue
		}
		all++
		if (r.State == resource.InSync || r.State == resource.Changed) && !r.ReloadOwed {
			inSync++
		}
	}
	noun := "resources"
	if all == 1 {
		noun = "resource"
	}
	if inSync == all {
		return fmt.Sprintf("%d %s in sync", all, noun)
	}
	return fmt.Sprintf("%d of %d %s in sync", inSync, all, noun)
}

// troubleWords says what is wrong with one resource, "" if nothing is.
func troubleWords(r resource.Result) string {
	switch {
	case r.State == resource.Failed && r.Dest == "":
		return fmt.Sprintf("%s cannot be used: %s", oneLine(r.Name), oneLine(r.Err.Error()))
	case r.State == resource.Held, r.State == resource.Failed:
		return fmt.Sprintf("%s %s: %s", oneLine(r.Name), r.State, oneLine(r.Err.Error()))
	case r.ReloadOwed:
		return oneLine(r.Name) + " owes a reload"
	default:
		return ""
	}
}

// oneLine makes a text fit for a message that is made of lines: a line break
// in an error must not begin another assignment.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > errorShown {
		text = string(runes[:errorShown]) + "..."
	}
	return text
}
