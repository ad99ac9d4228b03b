package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"pc4patroni/resource/internal/diskstep"
)

// current is the simulation that runs.
var current atomic.Pointer[simulation]

// installHook has the simulation that runs see each step that changes the disk.
func installHook(t *testing.T) {
	diskstep.Hook = func(what, path string) error {
		if s := current.Load(); s != nil {
			return s.step(what, path)
		}
		return nil
	}
	t.Cleanup(func() { diskstep.Hook = nil })
}

// simDisk is what is the matter with the disk. The simulation's mutex guards it.
type simDisk struct {
	full     bool
	broken   string // this step fails
	once     int    // the step that fails, counted from now; 0: none
	crash    int    // the step before which the image is taken, counted from now; 0: none
	powerCut bool   // the image is that of a power cut
	litter   bool   // a file could not be removed: it may stay

	unsynced map[uint64]bool   // inodes whose content a power cut may lose
	names    map[string][]undo // changes of names that a power cut may lose, by directory, in order
}

// undo takes back one change of a name.
type undo struct {
	path, content string
	missing       bool // nothing had the name
}

var simSteps = []string{"create", "write", "sync", "rename", "remove", "close", "chmod", "sync directory"}

// step is called before each step that changes the disk.
func (s *simulation) step(what, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.disk
	if d.crash > 0 {
		if d.crash--; d.crash == 0 {
			s.image = s.files()
			if d.powerCut {
				d.lose(s)
			}
			close(s.imaged)
		}
	}
	once := d.once == 1
	d.once = max(d.once-1, 0)
	switch {
	case once || what == d.broken:
		d.litter = d.litter || what == "remove"
		return syscall.EIO
	case d.full && (what == "create" || what == "write"):
		return syscall.ENOSPC
	}
	dir := filepath.Dir(path)
	switch what {
	case "write":
		d.unsynced[inode(path)] = true
	case "sync":
		delete(d.unsynced, inode(path))
	case "create", "rename", "remove":
		content, err := os.ReadFile(path)
		d.names[dir] = append(d.names[dir], undo{path, string(content), err != nil})
	case "sync directory":
		delete(d.names, path)
	}
	return nil
}

func inode(path string) uint64 {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0
	}
	return st.Ino
}

// lose takes from the image what a power cut may lose.
func (d *simDisk) lose(s *simulation) {
	for _, path := range slices.Sorted(maps.Keys(s.image)) {
		if d.unsynced[inode(path)] && s.random.IntN(2) == 0 {
			s.image[path] = ""
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(d.names)) {
		if _, there := s.image[dir+"/"]; !there {
			continue
		}
		undos := d.names[dir]
		for _, u := range slices.Backward(undos[s.random.IntN(len(undos)+1):]) {
			if u.missing {
				delete(s.image, u.path)
			} else {
				s.image[u.path] = u.content
			}
		}
	}
}

// changeDisk breaks the disk or mends it.
func (s *simulation) changeDisk(what string, arg int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.disk
	switch what {
	case "disk full":
		d.full = true
	case "disk fails":
		d.broken = simSteps[arg%len(simSteps)]
	case "a step fails":
		d.once = 1 + arg%20
	case "disk works":
		d.full, d.broken, d.once = false, "", 0
	case "kill at a step", "power cut at a step":
		d.crash, d.powerCut = 1+arg%30, what == "power cut at a step"
	case "restored":
		d.crash = 0
		d.unsynced, d.names = map[uint64]bool{}, map[string][]undo{}
	}
}

// boot has every proxy start with the files as they are. What is away at that moment is
// not the engine's to tell.
func (s *simulation) boot() {
	saw := s.see("the proxy that starts")
	_, _ = s.look("who wants the backup", s.out("a.conf.bak"))
	for _, line := range []string{"reload one", "reload two", "reload three"} {
		s.tell(line, saw)
	}
}

// tell records what a proxy has read.
func (s *simulation) tell(line string, saw map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[line] == nil {
		s.told[line] = map[string]string{}
	}
	maps.Copy(s.told[line], saw)
}

// see returns the dests as somebody finds them.
func (s *simulation) see(who string) map[string]string {
	saw := map[string]string{}
	for _, dest := range simDests {
		if data, err := s.look(who, s.out(dest)); err == nil {
			saw[dest] = string(data)
		}
	}
	return saw
}
