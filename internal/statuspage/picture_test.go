package statuspage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pc4patroni/funcs/patroni"
)

func TestPicture(t *testing.T) {
	member := func(more string) string {
		return `{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","timeline":1,"role":"replica","xlog_location":1000` + more + `}`
	}
	for _, c := range []struct {
		name string
		keys map[string]string
		want []string // indented below whom they follow, with ! for a broken line
	}{
		{
			name: "nobody",
			keys: map[string]string{"initialize": "1"},
		},
		{
			name: "a cascade",
			keys: map[string]string{
				"leader": "b", "status": `{"optime":1000}`,
				"members/a": member(``), "members/b": member(`,"role":"primary"`), "members/c": member(`,"tags":{"replicatefrom":"a"},"xlog_location":500`),
			},
			want: []string{"b: leader", "  a: replica", "    c: replica, 500 B behind"},
		},
		{
			name: "no leader",
			keys: map[string]string{
				"members/a": member(``), "members/b": member(`,"state":"starting"`), "members/c;": member(``),
			},
			want: []string{"a: replica", "b: starting", "c?: unusable"},
		},
		{
			name: "a circle of tags, and a follower that does not run",
			keys: map[string]string{
				"leader": "a", "status": `{"optime":1000}`,
				"members/a": member(`,"role":"replica"`), "members/b": member(`,"tags":{"replicatefrom":"c"}`), "members/c": member(`,"tags":{"replicatefrom":"b"}`),
				"members/d": member(`,"state":"start failed"`),
			},
			want: []string{"a: leader, not promoted yet", "  d: start failed!", "b: replica", "  c: replica"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			var walk func(nodes []node, indent string)
			walk = func(nodes []node, indent string) {
				for _, n := range nodes {
					line := indent + n.Name + ": " + n.Words
					if n.Lag != "" {
						line += ", " + n.Lag
					}
					if n.Broken {
						line += "!"
					}
					got = append(got, line)
					walk(n.Followers, indent+"  ")
				}
			}
			walk(picture(patroni.Decode("/service/s", c.keys)), "")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("picture (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPictureOfMany(t *testing.T) {
	keys := map[string]string{}
	for i := range membersDrawn {
		keys[fmt.Sprintf("members/m%03d", i)] = `{"conn_url":"postgres://10.0.0.1:5432/p","state":"running","role":"replica"}`
	}
	if picture(patroni.Decode("/s", keys)) == nil {
		t.Error("no picture")
	}
	keys["members/"+strings.Repeat("x", 100)] = `{}`
	if picture(patroni.Decode("/s", keys)) != nil {
		t.Error("a picture of more than a table can say")
	}
}
