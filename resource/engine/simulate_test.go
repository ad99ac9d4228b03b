package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pc4patroni/internal/schedule"
	"pc4patroni/resource"
)

// TestSimulation runs the engine through schedules of what can go wrong, in virtual time:
// keys change, the store goes away, is compacted, replaced or forbidden, commands fail
// and hang, the disk is full or fails, files are edited and removed, directories vanish, the
// configuration changes, the process is stopped, or killed between any two steps that change
// the disk, or the power is cut there and what was not synced is lost. Each schedule ends with everything
// well again, and after a while every file, every proxy and every status must be right.
//
// A schedule is made from a seed; one that fails is made as short as still fails.
func TestSimulation(t *testing.T) {
	installHook(t)
	schedule.Run(t, events, func(steps []schedule.Step) error { return simulate(t, steps) })
}

var events = []string{
	"switchover", "switchover", "switchover", "move member", "drop leader", "drop leader", "drop member", "wipe", "heartbeat",
	"break watch", "away", "back", "compact", "replace store", "restore backup", "deny", "allow",
	"check fails", "reload fails", "check hangs", "reload hangs", "check is slow", "reload is slow", "commands work",
	"edit file", "remove file", "directory away", "directory back",
	"disk full", "disk fails", "a step fails", "disk works", "kill at a step", "kill at a step", "power cut at a step",
	"hangup", "configure", "configure", "stop", "kill", "kill in a command",
}

// simConf are the resources: two of one unit, one with exact keys in a unit of its own, one
// without commands, and one over both clusters. Where %s stands they differ by variant.
func simConf(variant int) map[string]string {
	reloadOfSide, destOfB, reloadOfPlain, prefixOfPlain := "reload one", "b.conf", "", "/service/a"
	switch variant {
	case 1:
		reloadOfSide = "reload two"
	case 2:
		destOfB = "b2.conf"
	case 3:
		reloadOfPlain = "reload_cmd = \"reload one\"\n"
	case 5:
		prefixOfPlain = "/service/b"
	}
	conf := map[string]string{
		"a-main.toml": "[template]\nprefix = \"/service/a\"\nsrc = \"one.tmpl\"\ndest = \"OUTa.conf\"\nbackup = true\ncheck_cmd = \"check {{.src}}\"\nreload_cmd = \"reload one\"\n",
		"a-side.toml": "[template]\nprefix = \"/service/a\"\nsrc = \"one.tmpl\"\ndest = \"OUTside/side.conf\"\nreload_cmd = \"" + reloadOfSide + "\"\n",
		"b-main.toml": "[template]\nprefix = \"/service/b\"\nkeys = [\"/leader\", \"/members\", \"/serial\"]\nsrc = \"one.tmpl\"\ndest = \"OUT" + destOfB +
			"\"\ncheck_cmd = \"check {{.src}}\"\nreload_cmd = \"reload two\"\n",
		"plain.toml": "[template]\nprefix = \"" + prefixOfPlain + "\"\nsrc = \"one.tmpl\"\ndest = \"OUTplain.conf\"\n" + reloadOfPlain,
		"all.toml": "[template]\nprefix = \"/service\"\nsrc = \"all.tmpl\"\ndest = \"OUTall.conf\"\nallow_empty = true\n" +
			"check_cmd = \"check {{.src}}\"\nreload_cmd = \"reload three\"\n",
	}
	if variant == 4 {
		delete(conf, "all.toml")
	}
	return conf
}

const (
	simOne = "serial {{getv \"/serial\"}}\nprimary {{primary.Name}} {{primary.Addr}}\n{{range members}}member {{.Name}} {{.Addr}}\n{{end}}end\n"
	simAll = "{{range gets \"/*/leader\"}}{{.Key}} {{.Value}}\n{{end}}end\n"
)

var simDests = []string{"a.conf", "side/side.conf", "b.conf", "b2.conf", "plain.conf", "all.conf"}

// simulation is one run of a schedule.
type simulation struct {
	*site
	random *rand.Rand
	engine *Engine
	stop   context.CancelFunc
	kill   context.CancelCauseFunc
	done   chan error

	variant, serial int
	backup          map[string]string

	mu       sync.Mutex
	failing  map[string]string            // "check" or "reload": fails, hangs or is slow
	told     map[string]map[string]string // what each reload command last saw, by dest
	image    map[string]string            // of the disk, if it was asked for
	imaged   chan struct{}                // closed when the image is taken
	wanted   bool                         // the next command takes the image
	disk     simDisk
	mistakes []string
	newest   map[string]int // the highest serial that a file was seen with
}

func simulate(t *testing.T, steps []schedule.Step) (result error) {
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{site: newSite(t, nil, "templates/one.tmpl", simOne, "templates/all.tmpl", simAll),
			random: rand.New(rand.NewPCG(uint64(len(steps)), 2)), failing: map[string]string{}, told: map[string]map[string]string{}, newest: map[string]int{}}
		s.opts.Interval = 30 * time.Second
		if err := os.Mkdir(s.out("side"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.changeDisk("restored", 0)
		current.Store(s)
		defer current.Store(nil)
		s.configure()
		for _, cluster := range []string{"a", "b"} {
			s.put(cluster, "/leader", "db1", "/members/db1", simMember(1), "/members/db2", simMember(2))
		}
		s.backup = s.snapshotStore()
		s.begin()
		for _, step := range steps {
			s.do(step)
			s.sleep(step.Wait, nil)
		}
		s.heal()
		s.judge()
		s.end(nil)
		if len(s.mistakes) > 0 {
			result = fmt.Errorf("%s\n%s", strings.Join(s.mistakes, "\n"), s.log.String())
		}
	})
	return result
}

func simMember(n int) string {
	return fmt.Sprintf(`{"conn_url":"postgres://10.0.0.%d:5432/postgres","state":"running","role":"replica","xlog_location":%d}`, n, n)
}

func (s *simulation) mistake(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mistakes = append(s.mistakes, fmt.Sprintf(format, args...))
}

// put writes keys of a cluster, and a higher serial with them.
func (s *simulation) put(cluster string, pairs ...string) {
	s.serial++
	all := []string{"/service/" + cluster + "/serial", strconv.Itoa(s.serial)}
	for i, part := range pairs {
		if i%2 == 0 {
			part = "/service/" + cluster + part
		}
		all = append(all, part)
	}
	s.backend.put(all...)
}

func (s *simulation) snapshotStore() map[string]string {
	s.backend.mu.Lock()
	defer s.backend.mu.Unlock()
	values := map[string]string{}
	for key, value := range s.backend.values {
		values[key] = value
	}
	return values
}

// configure writes the resource files of the variant.
func (s *simulation) configure() {
	conf := simConf(s.variant)
	entries, _ := os.ReadDir(filepath.Join(s.dir, "conf.d"))
	for _, entry := range entries {
		if conf[entry.Name()] == "" {
			os.Remove(filepath.Join(s.dir, "conf.d", entry.Name()))
		}
	}
	for name, text := range conf {
		s.write("conf.d/"+name, text)
	}
}

func (s *simulation) begin() {
	s.engine = New(s.opts)
	s.engine.run = s.command
	s.done = make(chan error, 1)
	var stop, kill context.Context
	stop, s.stop = context.WithCancel(context.Background())
	kill, s.kill = context.WithCancelCause(context.Background())
	engine, set, done := s.engine, s.set(), s.done
	go func() { done <- engine.Run(stop, kill, set) }()
}

// end ends the engine: in good order, or for a cause that ends its commands as well.
func (s *simulation) end(cause error) {
	s.stop()
	if cause != nil {
		s.kill(cause)
	}
	if err := <-s.done; err != nil {
		s.mistake("Run: %v", err)
	}
	s.kill(nil)
}

// sleep lets time pass, as systemd's watchdog sees it, but no longer than until woken.
func (s *simulation) sleep(d time.Duration, woken <-chan struct{}) {
	for d > 0 {
		since, part := time.Now(), min(d, 10*time.Second)
		if part == 10*time.Second {
			s.engine.Stalled(since)
		}
		select {
		case <-woken:
			return
		case <-time.After(part):
		}
		synctest.Wait()
		if part == 10*time.Second {
			if stalled := s.engine.Stalled(since); len(stalled) > 0 {
				s.mistake("looks stuck: %v", stalled)
			}
		}
		d -= part
	}
}

func (s *simulation) do(what schedule.Step) {
	cluster := []string{"a", "b"}[what.Arg%2]
	dest := s.out(simDests[what.Arg%len(simDests)])
	switch what.What {
	case "switchover":
		s.put(cluster, "/leader", fmt.Sprintf("db%d", 1+what.Arg/2%2), "/members/db1", simMember(1), "/members/db2", simMember(2))
	case "move member":
		s.put(cluster, "/members/db2", simMember(2+what.Arg%5))
	case "heartbeat":
		s.backend.put("/service/"+cluster+"/members/db1", strings.Replace(simMember(1), `"xlog_location":1`, fmt.Sprintf(`"xlog_location":%d`, what.Arg), 1))
	case "drop leader":
		s.backend.del("/service/" + cluster + "/leader")
	case "drop member":
		s.backend.del("/service/" + cluster + "/members/db2")
	case "wipe":
		var keys []string
		for key := range s.snapshotStore() {
			keys = append(keys, key)
		}
		s.backend.del(keys...)
	case "break watch":
		s.store(func(f *fakeBackend) { f.breaks++ })
	case "away":
		s.backend.setAway(errAway)
	case "back":
		s.backend.setAway(nil)
	case "compact":
		s.store(func(f *fakeBackend) { f.breaks++; f.floor, f.history = f.revision, nil })
	case "replace store":
		s.store(func(f *fakeBackend) { f.epoch++; f.revision, f.floor, f.history = 1, 1, nil })
	case "restore backup":
		s.store(func(f *fakeBackend) {
			f.epoch++
			f.revision, f.floor, f.history = 1, 1, nil
			clear(f.values)
			for key, value := range s.backup {
				f.values[key] = value
			}
			s.serial++
			f.values["/service/a/serial"], f.values["/service/b/serial"] = strconv.Itoa(s.serial), strconv.Itoa(s.serial)
		})
	case "deny":
		s.backend.deny("/service/" + cluster + "/")
		s.store(func(f *fakeBackend) { f.breaks++ })
	case "allow":
		s.backend.deny()
	case "check fails", "reload fails", "check hangs", "reload hangs", "check is slow", "reload is slow":
		command, how, _ := strings.Cut(what.What, " ")
		s.mu.Lock()
		s.failing[command] = how
		s.mu.Unlock()
	case "commands work":
		s.mu.Lock()
		clear(s.failing)
		s.mu.Unlock()
	case "edit file":
		s.mu.Lock() // nobody reads what is half written by hand
		_ = os.WriteFile(dest, []byte("by hand\nend\n"), 0o644)
		s.mu.Unlock()
	case "remove file":
		os.Remove(dest)
	case "directory away":
		_ = os.Rename(s.out("side"), s.out("side.away"))
	case "directory back":
		_ = os.Rename(s.out("side.away"), s.out("side"))
	case "configure":
		s.variant = what.Arg % 6
		s.configure()
		if data, err := os.ReadFile(s.out("plain.conf")); s.variant == 3 && err == nil {
			s.tell("reload one", map[string]string{"plain.conf": string(data)}) // what the command missed before it was there
		}
		fallthrough
	case "hangup":
		set, err := resource.Load(s.load)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.engine.Reload(context.Background(), s.opts, set); err != nil {
			s.mistake("Reload: %v", err)
		}
	case "stop":
		s.end(nil)
		s.begin()
	case "kill":
		s.end(ErrAtOnce)
		s.begin()
	case "disk full", "disk fails", "a step fails", "disk works":
		s.changeDisk(what.What, what.Arg)
	case "kill in a command", "kill at a step", "power cut at a step":
		// As kill -9 would: what is on the disk at that moment is all that is left.
		s.mu.Lock()
		imaged := make(chan struct{})
		s.wanted, s.image, s.imaged = what.What == "kill in a command", nil, imaged
		s.mu.Unlock()
		s.changeDisk(what.What, what.Arg)
		s.sleep(what.Wait, imaged)
		s.mu.Lock()
		s.wanted = false
		image := s.image
		s.mu.Unlock()
		if image != nil {
			s.end(ErrAtOnce)
			s.restoreDisk(image)
			clear(s.newest)
			if what.What == "power cut at a step" {
				s.boot()
			}
			s.begin()
		}
		s.mu.Lock()
		s.disk.crash = 0
		s.mu.Unlock()
	default:
		panic(what.What)
	}
}

func (s *simulation) store(change func(*fakeBackend)) {
	s.backend.mu.Lock()
	defer s.backend.mu.Unlock()
	change(s.backend)
	s.backend.notify()
}

// files returns all files, by path; directories end with a slash.
func (s *simulation) files() map[string]string {
	files := map[string]string{}
	_ = filepath.WalkDir(s.out(""), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			files[path+"/"] = ""
		} else if data, err := os.ReadFile(path); err == nil {
			files[path] = string(data)
		}
		return nil
	})
	return files
}

func (s *simulation) restoreDisk(image map[string]string) {
	entries, _ := os.ReadDir(s.out(""))
	for _, entry := range entries {
		os.RemoveAll(filepath.Join(s.out(""), entry.Name()))
	}
	for path := range image {
		if dir, ok := strings.CutSuffix(path, "/"); ok {
			_ = os.MkdirAll(dir, 0o755)
		}
	}
	for path, data := range image {
		if !strings.HasSuffix(path, "/") {
			// The process that staged a file has ended.
			path = strings.Replace(path, fmt.Sprintf(".pc4patroni-%d-", os.Getpid()), ".pc4patroni-4194305-", 1)
			if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.changeDisk("restored", 0)
}

var serialIn = regexp.MustCompile(`(?m)^serial (\d+)$`)

// command stands for check_cmd and reload_cmd.
func (s *simulation) command(ctx context.Context, _ []string, line string, timeout time.Duration) (took time.Duration, err error) {
	began := time.Now()
	command, arg, _ := strings.Cut(line, " ")
	s.mu.Lock()
	how := s.failing[command]
	if s.wanted && s.image == nil {
		s.image = s.files()
		close(s.imaged)
	}
	s.mu.Unlock()
	if command == "check" {
		_, _ = s.look("the check", arg)
	} else {
		saw := s.see(line)
		defer func() {
			if err == nil {
				s.tell(line, saw)
			}
		}()
	}
	wait := 5 * time.Millisecond
	switch how {
	case "hangs":
		wait = timeout
	case "is slow":
		wait = min(timeout/2, 3*time.Second)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return time.Since(began), &commandError{context.Cause(ctx), ""}
	}
	switch how {
	case "fails":
		return time.Since(began), &commandError{errors.New("exit status 1"), "no"}
	case "hangs":
		return time.Since(began), &commandError{errTimeout, ""}
	}
	return time.Since(began), nil
}

// look reads a file as somebody does, and judges it: it is whole, and no older than one
// that was read before. A dest may be missing.
func (s *simulation) look(who, path string) (data []byte, err error) {
	s.mu.Lock() // two who read at the same moment judge in the order in which they read
	data, err = os.ReadFile(path)
	older := false
	if found := serialIn.FindSubmatch(data); found != nil && who != "the check" && filepath.Base(path) != "plain.conf" { // that one changes its cluster
		serial, _ := strconv.Atoi(string(found[1]))
		older = serial < s.newest[path]
		s.newest[path] = max(serial, s.newest[path])
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		if who == "the check" {
			s.mistake("%s finds no file: %v", who, err)
		}
	case !strings.HasSuffix(string(data), "end\n"):
		s.mistake("%s sees half a file, %s: %q", who, path, data)
	case older:
		s.mistake("%s sees an older file than before, %s: %q", who, path, data)
	}
	return data, err
}

// heal makes everything well that a schedule may have broken, and waits.
func (s *simulation) heal() {
	for _, what := range []string{"back", "allow", "commands work", "disk works", "directory back"} {
		s.do(schedule.Step{What: what})
	}
	s.sleep(5*time.Minute, nil)
}

// expected returns what a file should hold now, or "" if it is held.
func expected(values map[string]string, res *resource.Resource) string {
	base := res.Prefix
	if base == "/service" {
		text := ""
		for _, cluster := range []string{"a", "b"} {
			if leader, ok := values["/service/"+cluster+"/leader"]; ok {
				text += fmt.Sprintf("/%s/leader %s\n", cluster, leader)
			}
		}
		return text + "end\n"
	}
	address := regexp.MustCompile(`postgres://([^/]*)/`)
	leader := values[base+"/leader"]
	member := address.FindStringSubmatch(values[base+"/members/"+leader])
	if member == nil {
		return ""
	}
	text := fmt.Sprintf("serial %s\nprimary %s %s\n", values[base+"/serial"], leader, member[1])
	for _, name := range []string{"db1", "db2"} {
		if m := address.FindStringSubmatch(values[base+"/members/"+name]); m != nil {
			text += fmt.Sprintf("member %s %s\n", name, m[1])
		}
	}
	return text + "end\n"
}

// wasTold tells whether the last reload of any command saw what is in a file: of the one
// that it has now, or of the one that it had when the file changed.
func (s *simulation) wasTold(name, want string) bool {
	for _, saw := range s.told {
		if saw[name] == want {
			return true
		}
	}
	return false
}

// judge compares everything with what it should be.
func (s *simulation) judge() {
	values := s.snapshotStore()
	for _, res := range s.engine.Status().Resources {
		name, err := filepath.Rel(s.out(""), res.Dest)
		if err != nil {
			s.t.Fatal(err)
		}
		want := expected(values, res.Declared)
		got, err := os.ReadFile(res.Dest)
		if want == "" {
			if res.State != Held && !errors.Is(res.Err, ErrNoKeys) {
				s.mistake("%s is %v (%v), want held: it has no primary", res.Name, res.State, res.Err)
			}
			continue
		}
		switch {
		case err != nil || string(got) != want:
			s.mistake("%s holds %q (%v), want %q", name, got, err, want)
		case res.State != InSync && res.State != Changed || res.ReloadPending:
			s.mistake("%s is %v (%v), reload pending %v", res.Name, res.State, res.Err, res.ReloadPending)
		}
		if res.Declared.ReloadCmd != "" && !s.wasTold(name, want) {
			s.mistake("no proxy was told of %s", name)
		}
	}
	select {
	case <-s.engine.Ready():
	default:
		s.mistake("never ready")
	}
	// A copy of what was there first stays, and the marker of a file that nobody reloads now. In
	// a directory that was away when a reload ended it may stay too: one more reload does no harm.
	// So may what could not be removed, until the next start.
	reloads := map[string]bool{}
	for _, res := range s.engine.Status().Resources {
		reloads[res.Dest] = res.Declared.ReloadCmd != ""
	}
	for path := range s.files() {
		base := filepath.Base(path)
		of, isMarker := strings.CutSuffix(strings.TrimPrefix(base, "."), ".pc4patroni-reload")
		dest := filepath.Join(filepath.Dir(path), of)
		if _, err := os.Stat(dest); isMarker && err != nil {
			continue // that of a held file that is missing waits for it
		}
		if !strings.HasPrefix(base, ".") || s.disk.litter || strings.HasSuffix(base, "-orig") || isMarker && (of == "side.conf" || !reloads[dest]) {
			continue
		}
		s.mistake("left behind: %s", base)
	}
}
