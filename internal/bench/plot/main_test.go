package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func line(clusters, members int, without string) string {
	text := fmt.Sprintf("BenchmarkGrowth/clusters=%d/members=%d-2 \t 200\t 0 ns/op\t 10 period-s", clusters, members)
	for i, unit := range []string{"p50-ms", "p99-ms", "p50-yardstick-ms", "p99-yardstick-ms", "resident-MiB", "resident-yardstick-MiB",
		"cpu/heartbeat-ms", "cpu/heartbeat-yardstick-ms"} {
		if unit != without {
			text += fmt.Sprintf("\t %d.5 %s", i+1, unit)
		}
	}
	return text + "\n"
}

func TestDraw(t *testing.T) {
	runs, err := read(strings.NewReader("goos: linux\n" + line(1, 3, "") + line(1000, 3, "") + line(100, 50, "") + "PASS\n"))
	if err != nil {
		t.Fatal(err)
	}
	picture := string(draw(runs))
	for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
	}
	for _, want := range []string{"resident memory, MiB", ">1000<", ">50<", "pc4patroni: 5.5", "yardstick p99: 4.5", "confd: 92"} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if want := "| 1000 | 3 | 10 s | 1.5 ms | 2.5 ms | 0.43 | 0.56 | 6 MiB | 7.50 ms | 0.88 |\n"; !strings.Contains(table(runs), want) {
		t.Errorf("the table lacks %q:\n%s", want, table(runs))
	}
}

func TestReadRefuses(t *testing.T) {
	for input, want := range map[string]string{
		"PASS\n":             "no line of BenchmarkGrowth is about clusters of 3 members",
		line(1, 3, ""):       "no line of BenchmarkGrowth is about members of each of 100 clusters",
		"a\nFAIL\n":          "line 2: the benchmark failed: FAIL",
		line(1, 3, "p99-ms"): "line 1: BenchmarkGrowth/clusters=1/members=3-2 has no p99-ms",
		"BenchmarkGrowth/clusters=1/members=3-2 200 x ns/op\n": `line 1: BenchmarkGrowth/clusters=1/members=3-2: strconv.ParseFloat: parsing "x": invalid syntax`,
	} {
		if _, err := read(strings.NewReader(input)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", input, err, want)
		}
	}
}
