// Command plot draws how the program grows with clusters and members, from what
// BenchmarkGrowth prints, and prints the same figures as a table in Markdown:
//
//	go test ./internal/bench -run '^$' -bench Growth -benchtime 200x -timeout 0 >docs/pictures/growth.txt
//	go run ./internal/bench/plot -o docs/pictures/growth.svg <docs/pictures/growth.txt
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", "growth.svg", "the picture")
	flag.Parse()
	runs, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, draw(runs), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Print(table(runs))
}

// A run is one line of the benchmark: what was measured with so many clusters of so many members.
type run struct {
	clusters, members int
	figures           map[string]float64 // by unit, as in "p50-ms"
}

// A series is one line of a panel.
type series struct{ unit, label, colour, dash string }

// A mark is a figure of confd with so many clusters of three members, measured for the
// budgets. It is so many times that of the series of, if that is set.
type mark struct {
	clusters int
	value    float64
	of       string
}

// panels are the columns of the picture.
var panels = []struct {
	title  string
	series []series
	confd  []mark
}{
	{"leader put to reload started, ms", []series{
		{"p50-ms", "p50", program, ""}, {"p99-ms", "p99", program, "5 3"},
		{"p50-yardstick-ms", "yardstick p50", yardstick, ""}, {"p99-yardstick-ms", "yardstick p99", yardstick, "5 3"},
	}, []mark{{1, 2.2, "p99-yardstick-ms"}, {1000, 2.7, "p99-yardstick-ms"}}},
	{"resident memory, MiB", []series{
		{"resident-MiB", "pc4patroni", program, ""}, {"resident-yardstick-MiB", "yardstick", yardstick, ""},
	}, []mark{{1, 31, ""}, {1000, 92, ""}}},
	{"processor time per heartbeat, ms", []series{
		{"cpu/heartbeat-ms", "pc4patroni", program, ""}, {"cpu/heartbeat-yardstick-ms", "yardstick", yardstick, ""},
	}, []mark{{1000, 3.7, ""}}}, // 37 % of a core with 100 heartbeats a second
}

const (
	program, yardstick, confd = "#1f6feb", "#6e7781", "#cf222e"

	fixedMembers, fixedClusters = 3, 100
)

// rows are the rows of the picture: one of the two numbers grows, the other stays.
var rows = []struct {
	title string
	at    func(run) (x int, ok bool)
}{
	{"clusters of 3 members", func(r run) (int, bool) { return r.clusters, r.members == fixedMembers }},
	{"members of each of 100 clusters", func(r run) (int, bool) { return r.members, r.clusters == fixedClusters }},
}

// read takes the runs from the benchmark's output.
func read(r io.Reader) ([]run, error) {
	var runs []run
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if strings.HasPrefix(text, "FAIL") || strings.HasPrefix(text, "--- FAIL") {
			return nil, fmt.Errorf("line %d: the benchmark failed: %s", n, text)
		}
		if !strings.HasPrefix(text, "BenchmarkGrowth/") {
			continue
		}
		one, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		runs = append(runs, one)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for _, row := range rows {
		if !slices.ContainsFunc(runs, func(r run) bool { _, ok := row.at(r); return ok }) {
			return nil, fmt.Errorf("no line of BenchmarkGrowth is about %s", row.title)
		}
	}
	return runs, nil
}

func parse(text string) (run, error) {
	fields := strings.Fields(text)
	r := run{figures: map[string]float64{}}
	if _, err := fmt.Sscanf(fields[0], "BenchmarkGrowth/clusters=%d/members=%d", &r.clusters, &r.members); err != nil {
		return r, fmt.Errorf("%s: %w", fields[0], err)
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return r, fmt.Errorf("%s: %w", fields[0], err)
		}
		r.figures[fields[i+1]] = value
	}
	for _, panel := range panels {
		for _, s := range panel.series {
			if _, ok := r.figures[s.unit]; !ok {
				return r, fmt.Errorf("%s has no %s", fields[0], s.unit)
			}
		}
	}
	return r, nil
}

// The size of a panel, and the room around its diagram.
const (
	width, height            = 330, 230
	left, right, top, bottom = 44, 16, 34, 38
)

// draw returns the picture as SVG.
func draw(runs []run) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width*len(panels), height*len(rows))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for y, row := range rows {
		for x := range panels {
			fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", x*width, y*height)
			drawPanel(&b, runs, x, row.title, row.at, y == 0)
			fmt.Fprintf(&b, "</g>\n")
		}
	}
	fmt.Fprintf(&b, "</svg>\n")
	return b.Bytes()
}

// point is where a figure belongs: x is a number of clusters or members.
type point struct {
	x     int
	value float64
}

func drawPanel(b *bytes.Buffer, runs []run, column int, axis string, at func(run) (int, bool), marks bool) {
	panel := panels[column]
	lines := make([][]point, len(panel.series))
	var confds []point
	most, first, last := 0.0, math.MaxInt, 0
	for _, r := range runs {
		x, ok := at(r)
		if !ok {
			continue
		}
		first, last = min(first, x), max(last, x)
		for i, s := range panel.series {
			lines[i] = append(lines[i], point{x, r.figures[s.unit]})
			most = max(most, r.figures[s.unit])
		}
		for _, m := range panel.confd {
			if !marks || m.clusters != r.clusters {
				continue
			}
			value := m.value
			if m.of != "" {
				value *= r.figures[m.of]
			}
			confds = append(confds, point{x, value})
			most = max(most, value)
		}
	}
	step := tick(most)
	most = step * math.Ceil(most/step)
	place := func(p point) (float64, float64) {
		share := 0.5
		if last > first {
			share = math.Log(float64(p.x)/float64(first)) / math.Log(float64(last)/float64(first))
		}
		return left + share*(width-left-right), height - bottom - p.value/most*(height-top-bottom)
	}
	text := func(x, y float64, anchor, colour, words string) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, words)
	}
	text(left-30, 16, "start", "black", panel.title)
	text((left+width-right)/2, height-8, "middle", "black", axis)
	for v := 0.0; v <= most+step/2; v += step {
		_, y := place(point{first, v})
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d8dee4"/>`+"\n", left, width-right, y, y)
		text(left-6, y+4, "end", "#57606a", strconv.FormatFloat(v, 'g', 4, 64))
	}
	for i, line := range lines {
		s := panel.series[i]
		slices.SortFunc(line, func(a, b point) int { return a.x - b.x })
		var path strings.Builder
		for _, p := range line {
			x, y := place(p)
			fmt.Fprintf(&path, "%.1f,%.1f ", x, y)
			if i == 0 {
				text(x, height-bottom+15, "middle", "#57606a", strconv.Itoa(p.x))
			}
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"><title>%s: %g</title></circle>`+"\n", x, y, s.colour, s.label, p.value)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5" stroke-dasharray="%s"/>`+"\n", path.String(), s.colour, s.dash)
		text(left+8, top+float64(i)*13, "start", s.colour, s.label+map[string]string{"5 3": " (dashed)"}[s.dash])
	}
	for _, p := range confds {
		x, y := place(p)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="none" stroke="%s"><title>confd: %g</title></circle>`+"\n", x, y, confd, p.value)
	}
	if len(confds) > 0 {
		text(left+8, top+float64(len(lines))*13, "start", confd, "○ confd"+map[bool]string{true: " p99"}[column == 0])
	}
}

// tick returns the distance of the lines of an axis that ends at most: 1, 2 or 5 times a power of ten.
func tick(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, n := range []float64{0.2, 0.5, 1} {
		if most/(power*n) <= 6 {
			return power * n
		}
	}
	return power * 2
}

// table returns the figures in Markdown.
func table(runs []run) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| clusters | members | every | p50 | p99 | ratio p50 | ratio p99 | memory | processor per heartbeat | ratio |")
	fmt.Fprintln(&b, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range runs {
		f := r.figures
		fmt.Fprintf(&b, "| %d | %d | %.0f s | %.1f ms | %.1f ms | %.2f | %.2f | %.0f MiB | %.2f ms | %.2f |\n", r.clusters, r.members, f["period-s"],
			f["p50-ms"], f["p99-ms"], f["p50-ms"]/f["p50-yardstick-ms"], f["p99-ms"]/f["p99-yardstick-ms"],
			f["resident-MiB"], f["cpu/heartbeat-ms"], f["cpu/heartbeat-ms"]/f["cpu/heartbeat-yardstick-ms"])
	}
	return b.String()
}
