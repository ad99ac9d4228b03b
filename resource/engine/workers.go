package engine

// workers lends its goroutines to units for what runs deep in the stack. The
// garbage collector takes the room back from a goroutine that waits: of a
// thousand units that render now and then, each would grow a stack again and
// again. A few goroutines that are handed around keep theirs: with 1,000 units
// that saves about 10 of 65 MiB of resident memory (BenchmarkMemory).
//
// There is always one to be had, so that a unit which waits for DNS or for a
// command keeps nobody else waiting; only idle ones are bounded in number. It
// may be used by several goroutines.
type workers chan chan task

// task is a job and where to say that it is done.
type task struct {
	job  func()
	done chan struct{}
}

func newWorkers(idle int) workers { return make(workers, idle) }

// do runs job on one of the goroutines and returns when it is done.
func (w workers) do(job func()) {
	t := task{job, make(chan struct{})}
	select {
	case idle := <-w:
		idle <- t
	default:
		go w.run(t)
	}
	<-t.done
}

func (w workers) run(t task) {
	self := make(chan task, 1)
	for ok := true; ok; t, ok = <-self {
		t.job()
		idle := false
		select {
		case w <- self:
			idle = true
		default: // there are enough
		}
		close(t.done) // after that, rest knows of this one
		if !idle {
			return
		}
	}
}

// rest ends the idle goroutines. Nobody may use them any more.
func (w workers) rest() {
	for {
		select {
		case idle := <-w:
			close(idle)
		default:
			return
		}
	}
}
