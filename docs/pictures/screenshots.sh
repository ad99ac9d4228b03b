#!/bin/bash
# Takes the screenshots of the status page, of the real program with a real etcd:
#
#     docs/pictures/screenshots.sh [DIRECTORY]
#
# It needs Go, etcd, etcdctl and chromium, and takes half a minute. Without DIRECTORY the
# pictures beside this script are replaced.
set -euo pipefail
cd "$(dirname "$0")/../.."
pictures=$(realpath "${1:-docs/pictures}")
scratch=/tmp/demo # the pictures show it
mkdir "$scratch"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
page=127.0.0.1:9547 etcd=http://127.0.0.1:12379 # as a user would have them, but for etcd

go build -o "$scratch/pc4patroni" ./cmd/pc4patroni
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$etcd
put() { etcdctl put "$1" "$2" >/dev/null; }
# member CLUSTER NAME HOST ROLE LOCATION
member() {
    local state=streaming
    [ "$4" = replica ] || state=
    put "/service/$1/members/$2" '{"conn_url":"postgres://'"$3"':5432/postgres","api_url":"http://'"$3"':8008/patroni","state":"running","role":"'"$4"'","version":"4.1.4","xlog_location":'"$5"',"replication_state":"'$state'","timeline":3}'
}
# switch CLUSTER OLD-NUMBER NEW-NUMBER: what Patroni writes at a switchover.
switch() {
    member "$1" "db$2" "10.0.0.$2" replica 117440792
    put "/service/$1/leader" "db$3"
    member "$1" "db$3" "10.0.0.$3" primary 117440792
}
start_etcd() {
    setsid etcd --data-dir "$scratch/etcd" --listen-client-urls $etcd --advertise-client-urls $etcd \
        --listen-peer-urls http://127.0.0.1:12380 >>"$scratch/etcd.log" 2>&1 </dev/null &
    etcd_pid=$!
    pids+=("$etcd_pid")
    until etcdctl get / >/dev/null 2>&1; do sleep 0.2; done
}
start_program() {
    setsid "$scratch/pc4patroni" -node $etcd -confdir "$scratch/etc" -listen $page >>"$scratch/log" 2>&1 </dev/null &
    program=$!
    pids+=("$program")
    until curl -sf "http://$page/healthz" >/dev/null; do sleep 0.2; done
    sleep 1
}
# shoot NAME WIDTH HEIGHT
shoot() {
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/chromium" \
        --window-size="$2,$3" --screenshot="$pictures/page-$1.png" "http://$page/" >"$scratch/chromium.log" 2>&1
    [ -s "$pictures/page-$1.png" ] || { cat "$scratch/chromium.log" "$scratch/log" >&2; exit 1; }
}
# resource NAME PREFIX TEMPLATE CHECK
resource() {
    cat >"$scratch/etc/conf.d/$1.toml" <<TOML
[template]
prefix = "$2"
src = "$3"
dest = "$scratch/out/$1"
check_cmd = '$4 {{.src}}'
reload_cmd = "true $1"
TOML
}

mkdir -p "$scratch/etc/conf.d" "$scratch/etc/templates" "$scratch/out"
cp templates/{haproxy-runtime.cfg,pgbouncer-databases.ini}.tmpl "$scratch/etc/templates"
printf '#!/bin/sh\n[ ! -e %s/refuse ] || { echo "PgBouncer would not understand line 4:app host=10.0.0.2" >&2; exit 1; }\n' "$scratch" >"$scratch/check"
chmod +x "$scratch/check"
resource haproxy.cfg /service/batman haproxy-runtime.cfg.tmpl "test -s"
resource databases.ini /service/batman pgbouncer-databases.ini.tmpl "$scratch/check"
start_etcd
put /service/batman/config '{"ttl":30,"loop_wait":10}'
put /service/batman/initialize 7512345678901234567
put /service/batman/status '{"optime":117440792}'
put /service/batman/leader db1
member batman db1 10.0.0.1 primary 117440792
member batman db2 10.0.0.2 replica 117440792
member batman db3 10.0.0.3 replica 92274968
start_program
switch batman 1 2
sleep 1
shoot idle 1200 800
shoot phone 390 844

etcdctl del /service/batman/leader >/dev/null
sleep 2
shoot failover 1200 900

touch "$scratch/refuse"
switch batman 2 1
sleep 3
shoot check 1200 1000

rm "$scratch/refuse"
until curl -sf "http://$page/readyz" >/dev/null; do sleep 0.5; done
kill "$etcd_pid"
sleep 4
shoot away 1200 900

kill "$program"
rm "$scratch/etc/conf.d/"*
echo '{{range clusters}}{{$scope := .Scope}}{{with .Primary}}{{$scope}} {{.Addr}}
{{end}}{{end}}' >"$scratch/etc/templates/all.tmpl"
start_etcd
for i in {1..200}; do
    put "/service/shop$i/leader" db1
    member "shop$i" db1 "10.1.$i.1" primary 117440792
    member "shop$i" db2 "10.1.$i.2" replica 117440792
done
etcdctl del /service/shop77/leader >/dev/null
resource primaries /service all.tmpl "test -s"
start_program
shoot many 1200 900
ls -l "$pictures"/page-*.png
