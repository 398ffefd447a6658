#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# rpch-client's options, and what it says when there is nobody to talk to. What
# it does with a proxy is tested in tests/httpd.
set -u

client=${RPCH_CLIENT:-./rpch-client}
failed=0 n=0

# expect STATUS TEXT ARGS...: the exit status, and a text in what it says
expect()
{
    status=$1 text=$2
    shift 2
    n=$((n + 1))
    said=$("$client" "$@" 2>&1)
    got=$?
    case $said in
    *"$text"*) ;;
    *)
        echo "FAIL: $*: said: $said"
        failed=1
        ;;
    esac
    if [ $got != "$status" ]; then
        echo "FAIL: $*: exit status $got, not $status"
        failed=1
    fi
}

both="--proxy 127.0.0.1:1 --server mbx:6001"
expect 0 'usage: rpch-client' --help
expect 2 '--proxy and --server are needed'
expect 2 '--proxy and --server are needed' --proxy 127.0.0.1:1
expect 2 '--proxy and --server are needed' --server mbx:6001
expect 2 'not HOST:PORT' --proxy 127.0.0.1 --server mbx:6001
expect 2 'not HOST:PORT' --proxy :80 --server mbx:6001
expect 2 'not known' $both more
expect 2 'unrecognized option' $both --more
expect 2 '--mode loud: not known' $both --mode loud
expect 2 '--kind x: not known' $both --kind x
expect 2 '--window 8191: not a number of 8192 to 262144' $both --window 8191
expect 2 '--bytes 0: not a number' $both --bytes 0
expect 2 '--calls 1x: not a number' $both --calls 1x
expect 2 '--calls -1: not a number' $both --calls -1
expect 2 '--outstanding 65: not a number of 1 to 64' $both --outstanding 65
# nobody listens on port 1
expect 1 'no connection to the proxy' $both
expect 1 'calls=0 up=0 down=0 in_r1=0' $both --stats
expect 1 'no connection to the proxy' --proxy '[::1]:1' --server mbx:6001

[ $failed = 0 ] && echo "PASS: $n calls of rpch-client"
exit $failed
