package resource

import (
	"errors"
	"fmt"
	"os/user"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"pc4patroni/backends"
	"pc4patroni/internal/tomlfile"
)

// Resource is what one resource file declares, validated and with every
// default in its place. It does not change after Load.
type Resource struct {
	// Name is the resource's name: that of its file without ".toml".
	Name string
	// File is the path of the resource file.
	File string
	// Prefix is what the keys that the template sees are relative to: a clean
	// path with a leading slash, "/" when there is none.
	Prefix string
	// Paths is what to load, in the form that package backends describes.
	Paths []string
	// Src is the template's name below the templates folder.
	Src string
	// Dest is the absolute path of the file, below -destdir where that is set.
	Dest string
	// CheckCmd is the check command as written, or "".
	CheckCmd string
	// ReloadCmd is the reload command, expanded, or "".
	ReloadCmd string
	// CheckTimeout and ReloadTimeout bound how long the commands may run.
	CheckTimeout, ReloadTimeout time.Duration
	// MinReloadInterval is the least time between the starts of two reloads.
	MinReloadInterval time.Duration
	// AllowEmpty says that a prefix without any key may be rendered.
	AllowEmpty bool
	// Backend names the backend's settings; see Options.Backend.
	Backend string

	root       string // of symbolic links: -destdir, or ""
	uid, gid   int    // or keep
	mode       int    // or keep
	left       string // delimiters of the template
	right      string
	createDirs bool
	backup     bool
	check      *template.Template
	source     *source
	doc        *tomlfile.File // until Load is done with it
}

// Default timeouts of the two commands.
const (
	defaultCheckTimeout  = 30 * time.Second
	defaultReloadTimeout = 60 * time.Second
)

// file is the form of a resource file.
type file struct {
	Template declaration    `toml:"template"`
	Backend  map[string]any `toml:"backend"`
}

// declaration is the [template] table. Pointers tell a key that is absent from
// one that is zero.
type declaration struct {
	Prefix            string         `toml:"prefix"`
	Keys              []string       `toml:"keys"`
	Src               string         `toml:"src"`
	Dest              string         `toml:"dest"`
	Owner             *any           `toml:"owner"`
	Group             *any           `toml:"group"`
	UID               *int64         `toml:"uid"`
	GID               *int64         `toml:"gid"`
	Mode              *any           `toml:"mode"`
	CheckCmd          string         `toml:"check_cmd"`
	ReloadCmd         string         `toml:"reload_cmd"`
	CheckCmdTimeout   *time.Duration `toml:"check_cmd_timeout"`
	ReloadCmdTimeout  *time.Duration `toml:"reload_cmd_timeout"`
	MinReloadInterval time.Duration  `toml:"min_reload_interval"`
	AllowEmpty        bool           `toml:"allow_empty"`
	CreateDestDirs    bool           `toml:"create_dest_dirs"`
	Backup            bool           `toml:"backup"`
	LeftDelimiter     *string        `toml:"left_delimiter"`
	RightDelimiter    *string        `toml:"right_delimiter"`
}

// reader turns a declaration into a Resource and collects what is wrong.
type reader struct {
	file *tomlfile.File
	decl declaration
	opts *Options
	errs []error
}

func (r *reader) fail(key, format string, args ...any) {
	r.errs = append(r.errs, r.file.Errorf([]string{"template", key}, format, args...))
}

// read parses and validates the resource file name with the content data. The
// template is not read yet.
func read(name string, data []byte, opts *Options) (*Resource, error) {
	var f file
	doc, err := tomlfile.Decode(name, data, &f)
	if !doc.IsDefined("template") {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s: there is no [template] table: a resource file starts with one", name)
	}
	r := &reader{file: doc, decl: f.Template, opts: opts}
	d := &r.decl
	res := &Resource{
		Name:          strings.TrimSuffix(filepath.Base(name), ".toml"),
		File:          name,
		Src:           d.Src,
		Dest:          r.dest(),
		CheckCmd:      d.CheckCmd,
		CheckTimeout:  r.timeout("check_cmd_timeout", d.CheckCmdTimeout, defaultCheckTimeout),
		ReloadTimeout: r.timeout("reload_cmd_timeout", d.ReloadCmdTimeout, defaultReloadTimeout),
		AllowEmpty:    d.AllowEmpty,
		root:          opts.DestDir,
		mode:          r.mode(),
		createDirs:    d.CreateDestDirs || opts.DestDir != "",
		backup:        d.Backup,
		left:          r.delimiter("left_delimiter", d.LeftDelimiter, "{{"),
		right:         r.delimiter("right_delimiter", d.RightDelimiter, "}}"),
	}
	if r.missing("src") {
		r.fail("src", "key %q is missing: name the template below %s", "src", opts.templateDir())
	}
	if d.MinReloadInterval < 0 {
		r.fail("min_reload_interval", "key %q must not be negative", "min_reload_interval")
	}
	res.MinReloadInterval = d.MinReloadInterval
	res.Prefix, res.Paths = r.keys()
	res.uid = r.id("owner", d.Owner, "uid", d.UID, lookupUser)
	res.gid = r.id("group", d.Group, "gid", d.GID, lookupGroup)
	if opts.DestDir != "" {
		// As with make's DESTDIR, what is built below it is installed by
		// somebody else, perhaps where these names do not exist.
		res.uid, res.gid = keep, keep
	}
	res.check = r.command("check_cmd", d.CheckCmd, res)
	if reload := r.command("reload_cmd", d.ReloadCmd, res); reload != nil {
		res.ReloadCmd = expand(reload, res.Dest, res.Dest)
	}
	res.Backend = r.backend(f.Backend)
	res.doc = doc
	return res, errors.Join(err, errors.Join(r.errs...))
}

// missing tells whether a key is absent or empty. One with a value of a wrong
// type is neither; it has been reported already.
func (r *reader) missing(key string) bool {
	return !r.file.IsDefined("template", key) || r.file.Value("template", key) == ""
}

func (r *reader) dest() string {
	dest := r.decl.Dest
	switch {
	case r.missing("dest"):
		r.fail("dest", "key %q is missing: name the file to keep true", "dest")
	case dest == "":
	case !filepath.IsAbs(dest):
		r.fail("dest", "dest %q is not absolute: start it with a slash", dest)
	case strings.HasSuffix(dest, "/"):
		r.fail("dest", "dest %q names a directory: name the file in it", dest)
	}
	return filepath.Join(r.opts.DestDir, filepath.Join("/", dest))
}

// keys returns the prefix and the paths to load.
func (r *reader) keys() (prefix string, paths []string) {
	prefix, keys := r.decl.Prefix, r.decl.Keys
	if r.opts.Prefix != "" {
		prefix = r.opts.Prefix
	}
	if r.missing("prefix") && r.opts.Prefix == "" && !r.file.IsDefined("template", "keys") {
		r.fail("prefix", "neither prefix nor keys is given, which would load the whole store: "+
			`set prefix, for example prefix = "/service/batman"`)
	}
	if list, ok := r.file.Value("template", "keys").([]any); ok && len(list) == 0 {
		r.fail("keys", "key %q is an empty list: leave it out to load all below the prefix", "keys")
	}
	if len(keys) == 0 {
		keys = []string{"/"}
	}
	prefix = path.Join("/", prefix)
	for _, key := range keys {
		if slices.Contains(strings.Split(key, "/"), "..") {
			r.fail("keys", "key %q leaves the prefix: write it without ..", key)
		}
		paths = append(paths, backends.Join(prefix, key))
	}
	return prefix, backends.Minimize(paths)
}

func (r *reader) timeout(key string, given *time.Duration, otherwise time.Duration) time.Duration {
	if given == nil {
		return otherwise
	}
	if *given <= 0 {
		r.fail(key, "key %q must be above zero: a command that may take for ever may block for ever", key)
	}
	return *given
}

func (r *reader) delimiter(key string, given *string, otherwise string) string {
	if given == nil {
		return otherwise
	}
	if *given == "" {
		r.fail(key, "key %q is empty: leave it out for %s", key, otherwise)
	}
	return *given
}

func (r *reader) mode() int {
	if r.decl.Mode == nil {
		return keep
	}
	text, ok := (*r.decl.Mode).(string)
	if !ok {
		r.fail("mode", `mode must be a string of octal digits, for example mode = "0640"`)
		return keep
	}
	mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || mode > 0o7777 {
		r.fail("mode", `mode %q is not octal: write for example "0640"`, text)
		return keep
	}
	return int(mode)
}

// id returns the number that name or number stands for.
func (r *reader) id(nameKey string, name *any, numberKey string, number *int64, lookup func(string) (string, error)) int {
	id := keep
	if number != nil {
		if *number < 0 || *number > maxID {
			r.fail(numberKey, "%s %d is out of range", numberKey, *number)
		}
		id = int(*number)
	}
	if name == nil || r.opts.DestDir != "" {
		return id
	}
	text := fmt.Sprint(*name)
	named, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		found, lookupErr := lookup(text)
		if lookupErr != nil {
			r.fail(nameKey, "%s %q: %w", nameKey, text, lookupErr)
			return keep
		}
		named, err = strconv.ParseUint(found, 10, 32)
	}
	if err != nil || named > maxID {
		r.fail(nameKey, "%s %q is out of range", nameKey, text)
		return keep
	}
	if id != keep && id != int(named) {
		r.fail(nameKey, "%s %q is number %d, but %s says %d: give one of the two", nameKey, text, named, numberKey, id)
	}
	return int(named)
}

// maxID is the largest user or group number; the one above it means "no change" to chown(2).
const maxID = 1<<32 - 2

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", errors.New("there is no such user on this host")
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", errors.New("there is no such group on this host")
	}
	return g.Gid, nil
}

// command parses a command and tries it out, so that a mistake in it shows
// now and not when it is needed.
func (r *reader) command(key, text string, res *Resource) *template.Template {
	if text == "" {
		return nil
	}
	t, err := template.New(key).Option("missingkey=error").Parse(text)
	if err == nil {
		err = t.Execute(&strings.Builder{}, commandData(res.Dest, res.Dest))
	}
	if err != nil {
		r.fail(key, "%s: a command can use {{.src}}, the staged file, and {{.dest}}, the target: %s", key, shortTemplateError(err))
		return nil
	}
	return t
}

// shortTemplateError drops the position, which is one in the command.
func shortTemplateError(err error) string {
	if m := templatePosition.FindStringSubmatch(err.Error()); m != nil {
		if m := executing.FindStringSubmatch(m[3]); m != nil {
			return m[1] + ": " + m[2]
		}
		return m[3]
	}
	return err.Error()
}

func commandData(src, dest string) map[string]string {
	return map[string]string{"src": src, "dest": dest}
}

// expand returns the command with the paths in it. It has been tried out.
func expand(command *template.Template, src, dest string) string {
	var b strings.Builder
	if err := command.Execute(&b, commandData(src, dest)); err != nil {
		panic(err)
	}
	return b.String()
}

func (r *reader) backend(table map[string]any) string {
	if r.opts.Backend == nil {
		if len(table) > 0 {
			r.errs = append(r.errs, r.file.Errorf([]string{"backend"}, "a [backend] table cannot be used here"))
		}
		return ""
	}
	key, err := r.opts.Backend(table, func(key string, err error) error {
		return r.file.Errorf(slices.DeleteFunc([]string{"backend", key}, func(s string) bool { return s == "" }), "%w", err)
	})
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return key
}

// sameAs tells whether the two declare the same and have the same template.
func (res *Resource) sameAs(other *Resource) bool {
	if res.source.digest != other.source.digest {
		return false
	}
	a, b := *res, *other
	a.check, b.check, a.source, b.source, a.doc, b.doc = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// relative returns the key as the template sees it.
func (res *Resource) relative(key string) string {
	return path.Join("/", strings.TrimPrefix(key, res.Prefix))
}
