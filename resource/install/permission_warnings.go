package install

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// The warnings of Stage, Install and Preflight say what a file is kept up to date
// without, who may not do what, and what to do about it.

func ownerWarning(target string, uid int) string {
	owner := userName(uid)
	return fmt.Sprintf("%s: user %s may not give it to user %s, and keeps it: run as user %s, or set another owner",
		target, userName(os.Geteuid()), owner, owner)
}

func groupWarning(target string, gid int) string {
	me, group := userName(os.Geteuid()), groupName(gid)
	remedy := "run as root"
	if gid != 0 { // nobody should become a member of root's group for this
		remedy = fmt.Sprintf("usermod -aG %s %s and restart", group, me)
	}
	return fmt.Sprintf("%s: user %s is not a member of group %s and may not give it to that group: %s, or set another group", target, me, group, remedy)
}

func mountWarning(target string) string {
	return target + ": it is a mount point, so it is written in place, and a reader may see half of it: mount its directory instead"
}

// maySetOwner and maySetGroup tell whether this process may give its own files to
// uid or gid.
func maySetOwner(uid int) bool { return uid == os.Geteuid() || hasCapability(unix.CAP_CHOWN) }

func maySetGroup(gid int) bool {
	if gid == os.Getegid() || hasCapability(unix.CAP_CHOWN) {
		return true
	}
	groups, _ := os.Getgroups()
	return slices.Contains(groups, gid)
}

func hasCapability(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// userName returns the name of a user, or the number where it has none.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}
