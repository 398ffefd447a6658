#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# rpch-load against itself: the client raw on its own server, in every mode,
# what both say of wrong bytes, and GETs of a small server. What it does with a
# proxy shows in tests/httpd and bench/.
set -u

load=${RPCH_LOAD:-./rpch-load}
python=${PYTHON3:-python3}
dir=$(mktemp -d)
failed=0 n=0 server= other=

bye()
{
    for pid in $server $other; do
        kill "$pid" 2>/dev/null
    done
    rm -rf "$dir"
}
trap bye EXIT
trap 'exit 1' INT TERM

bad()
{
    echo "FAIL: $*"
    failed=1
}

# expect STATUS TEXT ARGS...: the exit status, and a text in what it says
expect()
{
    status=$1 text=$2
    shift 2
    n=$((n + 1))
    said=$("$load" "$@" 2>&1)
    got=$?
    case $said in
    *"$text"*) ;;
    *) bad "$*: said: $said" ;;
    esac
    [ $got = "$status" ] || bad "$*: exit status $got, not $status"
}

# until_there FILE: waits for it
until_there()
{
    tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { bad "$1 never came"; exit 1; }
        sleep 0.05
    done
}

# start_server NAME ARGS...: a server; $port and $server are set
start_server()
{
    name=$1
    shift
    "$load" server --port-file "$dir/$name" "$@" >"$dir/$name.json" \
        2>"$dir/$name.err" &
    server=$!
    until_there "$dir/$name"
    port=$(cat "$dir/$name")
}

# stop_server STATUS: ends it, which must give that status
stop_server()
{
    kill "$server"
    wait "$server"
    got=$?
    server=
    [ $got = "$1" ] || bad "the server's exit status is $got, not $1"
}

# holds FILE EXPRESSION: true of the last line of a file, as r
holds()
{
    n=$((n + 1))
    "$python" - "$1" "$2" <<'END' || bad "$1: not $2: $(tail -c 600 "$1")"
import json, sys
r = json.loads(open(sys.argv[1]).read().splitlines()[-1])
sys.exit(not eval("(" + sys.argv[2] + ")"))
END
}

# run STATUS EXPRESSION ARGS...: a raw client of the server
run()
{
    status=$1 what=$2
    shift 2
    "$load" client --via raw --connect "127.0.0.1:$port" "$@" \
        >"$dir/line" 2>"$dir/err"
    got=$?
    [ $got = "$status" ] || bad "$*: exit status $got: $(cat "$dir/err")"
    holds "$dir/line" "$what"
}

# ---- options -----------------------------------------------------------------

expect 0 'usage: rpch-load' --help
expect 0 'usage: rpch-load' client --help
expect 2 'server, client or get?'
expect 2 'server, client or get?' sing
expect 2 '--connect HOST:PORT: is needed' client idle
expect 2 'MODE: is needed' client --via raw --connect 127.0.0.1:1
expect 2 '--target NAME:PORT: is needed' client --connect 127.0.0.1:1 idle
expect 2 'not HOST:PORT' client --via raw --connect 127.0.0.1 idle
expect 2 '--via x: not known' client --via x --connect 127.0.0.1:1 idle
expect 2 'argument walk: not known' client --connect 127.0.0.1:1 walk
expect 2 'argument idle: not known' client --connect 127.0.0.1:1 calls idle
expect 2 'option --path: not known' client --path /
expect 2 'option --rate: needs a value' client --rate
expect 2 'option --tls=1: takes no value' client --tls=1
expect 2 '--size 23: not a number of 24' client --size 23
expect 2 '--rate max: not a number' get --rate max
expect 2 '--window 8191: not a number of 8192 to 262144' server --window 8191
expect 2 'not A.B.C.D' client --via raw --connect 127.0.0.1:1 \
    --source 127.0.0.9-3 idle
expect 2 'no TLS' get --connect 127.0.0.1:1 --tls --ca /nowhere
# nobody listens on port 1
expect 1 '"errors":{"connect":1}' client --via raw --connect 127.0.0.1:1 idle
expect 1 '"errors":{"connect":2}' client --connect 127.0.0.1:1 --target m:1 \
    --connections 2 bulk-in

# ---- all modes ---------------------------------------------------------------

right='r["errors"] == {} and r["open"] == r["connections"]'
start_server plain
run 0 "$right and r['bytes'] == 20000003 and r['calls'] == 1" \
    bulk-out --bytes 20000003
run 0 "$right and r['bytes'] == 20000003" bulk-in --bytes 20000003
run 0 "$right and r['bytes'] == 7 * 100001" --frag 56 --connections 7 \
    bulk-in --bytes 100001
run 0 "$right and r['bytes'] == 3000000" --frag 65528 --connections 3 \
    bulk-in --bytes 1000000
run 0 "$right and r['calls'] == 100 and 0 < r['calls_min'] <= 20
    and r['bytes'] == 100 * 2 * (70000 - 24)
    and sum(b[2] for b in r['histogram']) == 100
    and r['min_us'] <= r['p50_us'] <= r['p99_us'] <= r['max_us']" \
    --connections 5 calls --size 70000 --rate 100 --seconds 1
run 0 "$right and r['calls'] > 0 and r['calls_min'] > 0" \
    --connections 3 calls --size 24 --rate max --seconds 1
run 0 "r['errors'] == {} and r['opens_per_s'] > 0 and r['open'] == 0
    and r['opened'] >= r['calls'] > 0" \
    --source 127.0.0.2-4 --connections 3 churn --seconds 1

# idle waits for its signals
"$load" client --via raw --connect "127.0.0.1:$port" --connections 40 \
    --open-parallel 7 --ready-file "$dir/ready" --wait idle --calls-rate 50 \
    >"$dir/idle" 2>/dev/null &
other=$!
until_there "$dir/ready"
[ "$(cat "$dir/ready")" = "ready 40" ] || bad "not ready: $(cat "$dir/ready")"
[ ! -s "$dir/idle" ] || bad "idle printed too early"
kill -USR1 $other
tries=0
until [ -s "$dir/idle" ] || [ $tries = 600 ]; do
    sleep 0.05
    kill -USR1 $other
    tries=$((tries + 1))
done
kill $other
wait $other || bad "idle did not end in order"
other=
holds "$dir/idle" "$right and r['open'] == 40"

stop_server 0
holds "$dir/plain.json" "r['wrong_bytes'] == 0 and r['errors'] == {}
    and r['open'] == 0 and r['open_max'] == 40 and r['calls'] > 100"

# ---- wrong bytes -------------------------------------------------------------

# the server's 70000th byte of an answer is wrong: of one connection as of many
start_server corrupt --corrupt 70000
run 1 "r['errors'] == {'corrupt': 1} and r['calls'] == 0" \
    bulk-out --bytes 70001
run 0 "r['errors'] == {}" bulk-out --bytes 70000
run 1 "r['errors'] == {'corrupt': 2} and r['open'] == 0" --connections 2 \
    calls --size 80000 --seconds 1
stop_server 0

# and the client's: the server tells
start_server plain2
run 1 "r['errors'] == {'corrupt-in': 1}" --corrupt 70000 bulk-in --bytes 70001
run 0 "r['errors'] == {}" --corrupt 70000 bulk-in --bytes 70000
stop_server 1
holds "$dir/plain2.json" "r['wrong_bytes'] == 1
    and r['errors'] == {'corrupt': 1}"

# ---- a server that goes away -------------------------------------------------

start_server gone
"$load" client --via raw --connect "127.0.0.1:$port" --connections 3 \
    --ready-file "$dir/ready2" idle >"$dir/line" 2>/dev/null &
other=$!
until_there "$dir/ready2"
stop_server 0
wait $other && bad "idle did not notice that the server has gone"
other=
holds "$dir/line" "r['errors'] == {'closed': 3} and r['open'] == 0"

# ---- GETs --------------------------------------------------------------------

cat >"$dir/site.py" <<'END'
import http.server, sys
class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served = 0
    def do_GET(self):
        Site.served += 1
        if self.path == "/missing":
            return self.send_error(404)
        body = b"x" * 5000
        if self.path == "/changes":
            body = b"x" * 4999 + b"%d" % (Site.served % 10)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if Site.served % 10 == 0:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
s.daemon_threads = True
print(s.server_address[1], file=open(sys.argv[1] + ".part", "w"), flush=True)
import os
os.rename(sys.argv[1] + ".part", sys.argv[1])
s.serve_forever()
END
"$python" "$dir/site.py" "$dir/site" &
server=$!
until_there "$dir/site"
site="--connect 127.0.0.1:$(cat "$dir/site") --connections 3"
"$load" get $site --rate 50 --seconds 1 >"$dir/line" 2>"$dir/err" \
    || bad "get: $(cat "$dir/err")"
holds "$dir/line" "r['errors'] == {} and r['calls'] == 50
    and r['bytes'] == 250000 and r['opened'] > 3"
"$load" get $site --rate 3 --seconds 1 --path /missing >"$dir/line" \
    2>/dev/null && bad "get of what is not there"
holds "$dir/line" "set(r['errors']) == {'http-404'} and r['calls'] == 0"
"$load" get $site --rate 4 --seconds 1 --path /changes >"$dir/line" \
    2>/dev/null && bad "get of what changes"
holds "$dir/line" "set(r['errors']) == {'corrupt'}"
kill $server
wait $server
server=

[ $failed = 0 ] && echo "PASS: $n looks at rpch-load"
exit $failed
