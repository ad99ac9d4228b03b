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
	d := make([][]int, len(a)+1) // d[i][j] is the distance of a[:i] and b[:j]
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
