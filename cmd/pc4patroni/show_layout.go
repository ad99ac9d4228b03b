package main

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pageWidth is what a terminal has at least. Output is laid out for it
// wherever it goes, so that it looks the same in a mail as on a console.
const pageWidth = 80

// gap is between two columns.
const gap = 2

// table is rows with notes below them, the first row being the heading. Where a
// row is wider than a page, a cell that is too long for its column has the rest
// of its row on the next line: nothing is cut off, and nothing wraps.
type table struct {
	indent int
	rows   [][]string
	notes  [][]string // of each row
}

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, cells)
	t.notes = append(t.notes, nil)
}

// note adds lines below the last row.
func (t *table) note(lines ...string) { t.notes[len(t.notes)-1] = lines }

func (t *table) write(w *bytes.Buffer) {
	widths := t.widths()
	for i, row := range t.rows {
		writeRow(w, t.indent, widths, row)
		for _, note := range t.notes[i] {
			writeFolded(w, t.indent+4, t.indent+6, note)
		}
	}
}

// widths makes the columns as wide as their widest cells and, if that is too
// much for a page, the widest ones narrower until it is not. No column becomes
// narrower than its heading.
func (t *table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for j := range widths {
		widths[j] = t.widest(j, pageWidth)
	}
	for {
		total, most := t.indent-gap, -1
		for j, width := range widths {
			total += gap + width
			if width > displayWidth(t.rows[0][j]) && (most < 0 || width > widths[most]) {
				most = j
			}
		}
		if total <= pageWidth || most < 0 {
			return widths
		}
		widths[most] = t.widest(most, widths[most]-1)
	}
}

// widest is the width of the widest cell of a column that is not wider than
// limit, the heading being narrow enough in any case.
func (t *table) widest(column, limit int) int {
	widest := 0
	for i, row := range t.rows {
		if width := displayWidth(row[column]); i == 0 || width <= limit {
			widest = max(widest, width)
		}
	}
	return widest
}

func writeRow(w *bytes.Buffer, indent int, widths []int, row []string) {
	var line strings.Builder
	at, offset := 0, indent // where the line ends, and where the column begins
	newLine := func() {
		w.WriteString(line.String())
		w.WriteByte('\n')
		line.Reset()
		at = 0
	}
	for j, cell := range row {
		if cell != "" && at > 0 && at+gap > offset {
			newLine()
		}
		for i, piece := range fold(cell, pageWidth-offset, pageWidth-offset) {
			if i > 0 {
				newLine()
			}
			if piece != "" {
				line.WriteString(strings.Repeat(" ", offset-at) + piece)
				at = offset + displayWidth(piece)
			}
		}
		offset += widths[j] + gap
	}
	newLine()
}

// writeFolded writes text in lines that begin at the column first, and from the
// second on at rest.
func writeFolded(w *bytes.Buffer, first, rest int, text string) {
	indent := first
	for _, line := range fold(text, pageWidth-first, pageWidth-rest) {
		w.WriteString(strings.Repeat(" ", indent))
		w.WriteString(strings.TrimRight(line, " "))
		w.WriteByte('\n')
		indent = rest
	}
}

// fold breaks text into lines of at most first, then rest columns: at spaces,
// and within words that are longer than a line.
func fold(text string, first, rest int) []string {
	var lines []string
	for limit := first; ; limit = rest {
		end, space := 0, 0
		for width := 0; end < len(text); {
			r, size := utf8.DecodeRuneInString(text[end:])
			// A line has one letter at least, however narrow it is.
			if width += runeWidth(r); width > limit && end > 0 {
				break
			}
			if r == ' ' {
				space = end
			}
			end += size
		}
		if end == len(text) {
			return append(lines, text)
		}
		if space > 0 && text[end] != ' ' {
			end = space
		}
		lines = append(lines, strings.TrimRight(text[:end], " "))
		text = strings.TrimLeft(text[end:], " ")
		if text == "" {
			return lines
		}
	}
}

// displayWidth is how many columns of a terminal a text takes.
func displayWidth(text string) int {
	width := 0
	for _, r := range text {
		width += runeWidth(r)
	}
	return width
}

// runeWidth tells, as terminals do, letters of two columns from others and from
// marks that take none (Unicode Standard Annex 11). Being rough about rare signs
// costs an uneven table, no more.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0x3000 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}
