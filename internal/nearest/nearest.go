// Package nearest finds the word that a mistyped one was probably meant to be,
// for "did you mean" in error messages. It holds no word list of its own.
package nearest

// To returns the word of words that is closest to typed, or "" when none is
// close enough to be worth suggesting: at most a third of the letters may be
// added, dropped, replaced or swapped with their neighbour. Of several equally
// close words it returns the first.
func To(typed string, words []string) string {
	best, bestDistance := "", len(typed)/3+1
	for _, word := range words {
		if d := distance(typed, word); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// Hint returns ` (did you mean "x"?)`, or nothing when no word is near.
func Hint(typed string, words []string) string {
	if word := To(typed, words); word != "" {
		return ` (did you mean "` + word + `"?)`
	}
	return ""
}

// distance is the optimal string alignment distance, in bytes: names of keys,
// flags and functions are ASCII.
func distance(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
