#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Tests the guards: each must fail over an empty tree, and must find the
# offence that is planted in a scratch copy, and name it.
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON3:-python3}
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
failed=0 passed=0

# A fresh copy of what the guards look at, writable in a read-only tree.
fresh()
{
    rm -rf "$scratch/tree"
    mkdir "$scratch/tree"
    for d in lib tests/unit tests/guards tests/conformance tests/httpd tools \
        conf docs; do
        [ -d "$root/$d" ] || continue
        mkdir -p "$scratch/tree/$d"
        (cd "$root" && find "$d" -name '*.[chmpst]*' ! -name '*.lo' \
            ! -path '*/.*' -type f | tar cf - -T -) |
            tar xf - -C "$scratch/tree"
        cp "$root/$d"/*.conf "$scratch/tree/$d/" 2>/dev/null
    done
    cp "$root"/mod_*.c "$root/Makefile.am" "$root/quickstart" "$scratch/tree/"
    chmod -R u+w "$scratch/tree"
}

# expect NAME GUARD TEXT: the guard fails over the copy, and says TEXT.
expect()
{
    if "$python" "$here/$2.py" "$scratch/tree" >"$scratch/out" 2>&1; then
        echo "FAIL: $2 does not see: $1"
        failed=$((failed + 1))
    elif ! grep -qF -- "$3" "$scratch/out"; then
        echo "FAIL: $2 fails over '$1' without saying '$3':"
        cat "$scratch/out"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

tree=$scratch/tree

# ---- nothing to check is a failure -------------------------------------------

for guard in conformance directives headers layers paths registration sizes tags; do
    rm -rf "$tree"
    mkdir "$tree"
    expect "an empty tree" $guard FAIL
done

# ---- layers ---------------------------------------------------------------

fresh
echo '#include <time.h>' >>"$tree/lib/rpch/flow.c"
expect "a system header in lib/rpch" layers 'lib/rpch may not include <time.h>'

fresh
echo '#include <httpd.h>' >>"$tree/lib/relay/table.c"
expect "httpd in the core" layers 'httpd header <httpd.h>'

fresh
echo '#include "relay/addr.h"' >>"$tree/lib/rpch/flow.c"
expect "an upward include" layers 'rpch may not include core'

fresh
echo '#include "relay/relay.h"' >>"$tree/lib/relay/table.c"
expect "the core uses the httpd part" layers 'core may not include relay'

fresh
echo '#include "rpch/server.h"' >>"$tree/lib/rpch/flow.h"
expect "a cycle of headers" layers 'include cycle of headers'

fresh
echo 'void *f(void);' >>"$tree/lib/rpch/flow.c"
echo 'void *f(void) { return malloc(1); }' >>"$tree/lib/rpch/flow.c"
expect "malloc in lib/rpch" layers 'may not call malloc()'

# ---- sizes ----------------------------------------------------------------

fresh
{
    printf 'int long_one(void)\n{\n'
    n=0
    while [ $n -lt 60 ]; do
        echo '    ;'
        n=$((n + 1))
    done
    printf '    return 0;\n}\n'
} >>"$tree/lib/rpch/cookie.c"
expect "a long function" sizes 'long_one has 64 lines'

fresh
{
    printf 'START_TEST(test_cookie_long)\n{\n'
    n=0
    while [ $n -lt 60 ]; do
        echo '    ;'
        n=$((n + 1))
    done
    printf '}\nEND_TEST\n'
} >>"$tree/tests/unit/test_cookie.c"
expect "a long test" sizes 'START_TEST has 63 lines'

# lengthen FILE LINES: FILE of the copy is that much longer.
lengthen()
{
    n=0
    while [ $n -lt "$2" ]; do
        echo
        n=$((n + 1))
    done >>"$tree/$1"
}

long='lib/rpch/cookie.c tests/unit/test_cookie.c tools/rpch_server.c
    tests/guards/guard.py tests/unit/test_dump.sh tools/rpc_calls.py
    quickstart'
fresh
for file in $long; do
    lines=$(wc -l <"$tree/$file")
    lengthen "$file" $((600 - lines))
done
if "$python" "$here/sizes.py" "$tree" >"$scratch/out"; then
    passed=$((passed + 1))
else
    echo "FAIL: sizes refuses files of 600 lines:"
    cat "$scratch/out"
    failed=$((failed + 1))
fi
for file in $long; do
    lengthen "$file" 1
    expect "a long $file" sizes "$file: 601 lines, at most 600"
done

fresh
lengthen tests/unit/rpch_test.h 300
expect "a long header of the tests" sizes 'lines, at most 300'

# ---- headers --------------------------------------------------------------

fresh
printf '\nint undocumented(void);\n' >>"$tree/lib/rpch/cookie.h"
expect "an undocumented function" headers 'directly above undocumented'

fresh
printf '/* What it is. */\n\nint distant(void);\n' >>"$tree/lib/rpch/cookie.h"
expect "a comment that is not directly above" headers 'directly above distant'

# ---- registration ---------------------------------------------------------

fresh
printf 'START_TEST(test_cookie_lost)\n{\n}\nEND_TEST\n' \
    >>"$tree/tests/unit/test_cookie.c"
expect "a test never added" registration 'test_cookie_lost is never added'

fresh
cp "$tree/tests/unit/test_cookie.c" "$tree/tests/unit/test_unlisted.c"
expect "a test program not built" registration \
    'tests/unit/test_unlisted.c: is not in Makefile.am'

fresh
cp "$tree/lib/rpch/cookie.c" "$tree/lib/rpch/unlisted.c"
expect "a source not built" registration \
    'lib/rpch/unlisted.c: is not in Makefile.am'

# ---- tags -----------------------------------------------------------------

fresh
echo 'const char *t1 = "RPX9999: x";' >>"$tree/mod_rpcproxy.c"
expect "an undocumented tag" tags 'RPX9999 is not in'

fresh
for i in 1 2; do
    echo "const char *t$i = \"RPX9998: x\";" >>"$tree/mod_rpcproxy.c"
done
expect "a tag twice" tags 'RPX9998 is also in'

fresh
echo 'See RPX9997.' >>"$tree/docs/mod_rpcproxy.md"
expect "a tag that no source has" tags 'RPX9997 is in no source'

fresh
echo 'const char *t1 = "RPX0599: x";' >>"$tree/mod_rpcproxy.c"
echo 'See RPX0599.' >>"$tree/docs/mod_rpcproxy.md"
expect "a tag of the front in the other reference" tags \
    'RPX0599 is not in docs/mod_proxy_rpch.md'

fresh
echo 'See RPX0598.' >>"$tree/docs/mod_proxy_rpch.md"
expect "a tag of the front that no source has" tags \
    'RPX0598 is in no source'

# ---- conformance ----------------------------------------------------------

fresh
echo 'CONN/A9: test_cookie_gone' >>"$tree/tests/conformance/pdus.txt"
expect "a test of a PDU that does not exist" conformance \
    'there is no test test_cookie_gone'

fresh
printf '1.2.3: A rule.\n- test_url.py::test_gone\n' \
    >>"$tree/tests/conformance/rules.txt"
expect "a test of a rule that does not exist" conformance \
    'there is no test test_url.py::test_gone'

fresh
echo '1.2.3: A rule.' >>"$tree/tests/conformance/rules.txt"
expect "a rule without a test" conformance '1.2.3 has no test'

# build EVENT: stands in for what was built: one machine's table with one
# cell, and programs that visit that event.
build()
{
    rm -rf "$scratch/build"
    mkdir -p "$scratch/build/tests/conformance" "$scratch/build/tests/unit" \
        "$scratch/build/tests/fuzz"
    builddir=$scratch/build
    export builddir
    printf '#!/bin/sh\necho "cell|0|inbound|7|knock|2|OPENED|stay"\n' \
        >"$builddir/tests/conformance/tables"
    for p in unit/test_inbound unit/test_outbound unit/test_server \
        unit/test_client unit/test_mixed unit/test_virtual \
        fuzz/replay_inbound fuzz/replay_outbound fuzz/replay_server \
        fuzz/replay_client fuzz/replay_mixed; do
        printf '#!/bin/sh\necho "%s 0 %s 2" >>"$RPCH_VISITS"\n' \
            "${p#*/}" "$1" >"$builddir/tests/$p"
    done
    chmod +x "$builddir"/tests/*/*
}

fresh
build 6
expect "a cell that nothing visits" conformance \
    'no test visits knock in OPENED'
expect "a PDU that there is not" conformance 'there is no PDU CONN/A1'

fresh
build 7
: >"$tree/tests/conformance/pdus.txt"
expect "a document that is not up to date" conformance \
    'is not what the tests show now'
rm "$builddir/tests/unit/test_mixed"
expect "a test program that was not built" conformance \
    'tests/unit/test_mixed*: was not built'

# ---- directives -----------------------------------------------------------

fresh
echo 'const char *d = "RpcProxyUnheardOf";' >>"$tree/mod_rpcproxy.c"
expect "an undocumented directive" directives \
    'docs/mod_rpcproxy.md: RpcProxyUnheardOf is missing'

fresh
echo '## RpcProxyGhost' >>"$tree/docs/mod_rpcproxy.md"
expect "a documented directive without code" directives \
    'the code of mod_rpcproxy.c: RpcProxyGhost is missing'

fresh
echo '#RpcProxyGhost On' >>"$tree/conf/rpcproxy.conf"
expect "a configured directive without code" directives \
    'the code of mod_rpcproxy.c: RpcProxyGhost is missing'

fresh
echo 'const char *d = "ProxyRpchUnheardOf";' >>"$tree/lib/front/config.c"
expect "an undocumented directive of the front" directives \
    'docs/mod_proxy_rpch.md: ProxyRpchUnheardOf is missing'

fresh
echo '## RpcProxyGhost' >>"$tree/docs/mod_proxy_rpch.md"
expect "a directive of the front without code" directives \
    'the code of mod_proxy_rpch.c: RpcProxyGhost is missing'

fresh
echo '#include "rpcproxy/config.h"' >>"$tree/lib/front/policy.c"
expect "the front uses mod_rpcproxy's own files" layers \
    'front may not include rpcproxy'

# ---- paths ----------------------------------------------------------------

fresh
printf 'See /%s/alice/x.\n' home >>"$tree/docs/mod_rpcproxy.md"
expect "a path of one machine" paths 'a path of one machine'

fresh
printf '/* TO%s: later */\n' DO >>"$tree/lib/rpch/cookie.c"
expect "an unfinished note" paths 'an unfinished note'

echo "selftest: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
