// Package schedule runs tests through random schedules of what can go wrong: each is made
// from a seed, and one that fails is made as short as still fails.
package schedule

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	schedules = flag.Int("schedules", 150, "how many schedules a simulation runs")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first schedule; 0 is a random one")
)

// A Step is one thing that happens, and how long nothing else does after it.
type Step struct {
	What string
	Arg  int // from 0 to 999; what it means depends on What
	Wait time.Duration
}

func (s Step) String() string { return fmt.Sprintf("%s(%d) %v", s.What, s.Arg, s.Wait) }

// Run has simulate run as many schedules of events as the flag -schedules says. The names
// of events may repeat, which makes them more likely.
func Run(t *testing.T, events []string, simulate func([]Step) error) {
	t.Helper()
	seed := *firstSeed
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	for i := range *schedules {
		steps := steps(seed+uint64(i), events)
		// A loop that never rests stops virtual time.
		hangs := time.AfterFunc(2*time.Minute, func() { panic(fmt.Sprintf("the schedule of seed %d does not end: %v", seed+uint64(i), steps)) })
		err := simulate(steps)
		hangs.Stop()
		if err == nil {
			continue
		}
		first := err
		for n := len(steps) / 2; n > 0; n /= 2 { // leave out as many steps as possible
			for at := 0; at+n <= len(steps); {
				fewer := slices.Delete(slices.Clone(steps), at, at+n)
				if e := simulate(fewer); e != nil {
					steps, err = fewer, e
				} else {
					at += n
				}
			}
		}
		t.Fatalf("schedule %d fails: go test -run %s -schedules 1 -seed %d\n%v\nshortened to %d steps %v:\n%v",
			i, t.Name(), seed+uint64(i), first, len(steps), steps, err)
	}
}

func steps(seed uint64, events []string) []Step {
	random := rand.New(rand.NewPCG(seed, 1))
	steps := make([]Step, 5+random.IntN(30))
	for i := range steps {
		wait := time.Duration(0)
		switch random.IntN(4) {
		case 1:
			wait = time.Duration(random.IntN(300)) * time.Millisecond
		case 2:
			wait = time.Duration(random.IntN(5000)) * time.Millisecond
		case 3:
			wait = time.Duration(random.IntN(60)) * time.Second
		}
		steps[i] = Step{events[random.IntN(len(events))], random.IntN(1000), wait}
	}
	return steps
}
