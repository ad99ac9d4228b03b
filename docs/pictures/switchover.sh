#!/bin/sh
# Draws docs/pictures/switchover.svg, the picture of the README, from the times below:
#
#     docs/pictures/switchover.sh >docs/pictures/switchover.svg
#
# One switchover of Patroni 3.0.2, seen by a client that writes through PgBouncer, in
# milliseconds since its last write to the old primary.
stopped=1118  # the old primary has shut down and gives up the leader lock
taken=1179    # the new primary takes it
installed=1186
reloaded=1189
writes=1443   # the client's first write to the new primary
end=1700

awk -v stopped=$stopped -v taken=$taken -v installed=$installed -v reloaded=$reloaded -v writes=$writes -v end=$end '
function x(ms) { return sprintf("%.1f", 110 + ms * (870 - 110) / (end + 150)) + 0 }
function at(ms) { return x(ms + 150) }   # the picture begins 150 ms before the last write
function lane(y, name) { printf "<text class=\"name\" x=\"98\" y=\"%d\" text-anchor=\"end\">%s</text>\n", y + 17, name }
function bar(class, y, from, to, label) {
    printf "<rect class=\"%s\" x=\"%s\" y=\"%d\" width=\"%.1f\" height=\"24\" rx=\"4\"/>\n", class, from, y, to - from
    if (label != "") printf "<text class=\"in\" x=\"%s\" y=\"%d\">%s</text>\n", from + 8, y + 16.5, label
}
function tick(ms, label) {
    printf "<text class=\"axis\" x=\"%s\" y=\"262\" text-anchor=\"middle\">%s</text>\n", at(ms), label
    printf "<line class=\"grid\" x1=\"%s\" x2=\"%s\" y1=\"34\" y2=\"246\"/>\n", at(ms), at(ms)
}
BEGIN {
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 880 300\" width=\"880\" height=\"300\" role=\"img\" aria-labelledby=\"t d\">"
    print "<title id=\"t\">A switchover, followed</title>"
    printf "<desc id=\"d\">The old primary db2 shuts down for %d ms. %d ms after db3 has taken the leader lock, PgBouncer has been reloaded. %d ms later the application writes to db3.</desc>\n", stopped, reloaded - taken, writes - reloaded
    print "<style>"
    print "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .name { font-weight: 600 } .in { fill: #fff; font-weight: 600 } .axis, .note { fill: #59636e; font-size: 12px }"
    print ".old { fill: #6e7781 } .new { fill: #1a7f37 } .wait { fill: #bf8700 } .us { fill: #cf222e } .grid { stroke: #d1d9e0 } .mark { stroke: #cf222e; stroke-width: 1.5 } .ours { fill: #cf222e; font-weight: 600 }"
    print "@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .axis, .note { fill: #9198a1 } .grid { stroke: #3d444d } .in { fill: #fff } .us, .ours { fill: #ff7b72 } .mark { stroke: #ff7b72 } .new { fill: #238636 } .wait { fill: #9e6a03 } }"
    print "</style>"
    for (ms = 0; ms < end; ms += 500) tick(ms, ms == 0 ? "0" : ms " ms")
    left = x(0); right = x(end + 150)

    lane(44, "Patroni")
    bar("old", 44, left, at(0), "")
    bar("wait", 44, at(0), at(stopped), "db2 shuts down")
    bar("new", 44, at(taken), right, "db3 is promoted")

    lane(88, "leader key")
    bar("old", 88, left, at(stopped), "db2")
    bar("new", 88, at(taken), right, "db3")

    lane(132, "pc4patroni")
    printf "<line class=\"mark\" x1=\"%s\" x2=\"%s\" y1=\"112\" y2=\"176\"/>\n", at(reloaded), at(reloaded)
    printf "<text class=\"ours\" x=\"%s\" y=\"149\" text-anchor=\"end\">file checked, replaced, proxy reloaded: %d ms</text>\n", at(taken) - 8, reloaded - taken
    printf "<circle class=\"us\" cx=\"%s\" cy=\"144\" r=\"5\"/>\n", at(reloaded)

    lane(176, "PgBouncer")
    bar("old", 176, left, at(reloaded), "db2")
    bar("new", 176, at(reloaded), right, "db3")

    lane(220, "application")
    bar("old", 220, left, at(0), "")
    bar("wait", 220, at(0), at(writes), "waits to write")
    bar("new", 220, at(writes), right, "writes")

    printf "<text class=\"note\" x=\"440\" y=\"290\" text-anchor=\"middle\">Milliseconds since the last write to db2. Measured with PostgreSQL 15, Patroni 3.0.2, etcd 3.4 and PgBouncer 1.18 on one host.</text>\n"
    print "</svg>"
}'
