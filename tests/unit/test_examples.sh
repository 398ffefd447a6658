#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every httpd configuration that the documents show is one that httpd accepts:
# each block between "```apache" and "```" of README.md and docs/ is given to
# "httpd -t", with the modules that were just built.
set -u

root=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
built=${builddir:-.}/.libs
httpd=${HTTPD:-/usr/sbin/apache2}
[ -x "$httpd" ] || {
    echo "SKIP: there is no $httpd"
    exit 77
}
preload=${HTTPD_PRELOAD-}
[ "$preload" != none ] || {
    echo "SKIP: httpd cannot load a module that is instrumented like this"
    exit 77
}
modules=${HTTPD_MODULES:-/usr/lib/apache2/modules}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# Files that an example may name.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=example \
    -keyout "$scratch/key.pem" -out "$scratch/cert.pem" 2>/dev/null || {
    echo "FAIL: openssl made no certificate"
    exit 1
}
printf 'mbx:6001\n' >"$scratch/validports"
printf 'secret\n' >"$scratch/secret"
chmod 600 "$scratch/secret"

# The blocks of one document, as $scratch/block.N; prints how many.
split()
{
    rm -f "$scratch"/block.*
    awk -v out="$scratch/block." '
        /^ *```apache *$/ { n++; inside = 1; next }
        /^ *```/ { inside = 0 }
        inside { print > (out n) }
        END { print n + 0 }' "$1"
}

# A block as this machine can load it: the modules from the build folder,
# files in the scratch folder, passwords not from programs.
localise()
{
    sed -e '/^ *LoadModule/d' \
        -e "s|\(SSLCertificateFile *\).*|\1$scratch/cert.pem|" \
        -e "s|\(SSLCACertificateFile *\).*|\1$scratch/cert.pem|" \
        -e "s|\(SSLCertificateKeyFile *\).*|\1$scratch/key.pem|" \
        -e "s|\(RpcProxyValidPortsFile *\).*|\1$scratch/validports|" \
        -e "s|\(SSLProxyCACertificateFile *\).*|\1$scratch/cert.pem|" \
        -e "s|\(ProxyRpchAuth fixed [^ ]* *\).*|\1$scratch/secret|" \
        -e 's|"exec:[^"]*"|"secret"|' \
        -e 's|\${APACHE_LOG_DIR}|logs|' \
        "$1"
}

write_conf()
{
    echo "ServerRoot $scratch"
    echo "ServerName localhost"
    echo "DefaultRuntimeDir $scratch"
    echo "PidFile $scratch/pid"
    echo "ErrorLog $scratch/error.log"
    for m in unixd log_config mpm_event alias authn_core authn_file \
        authz_core authz_host authz_user auth_basic dir ldap authnz_ldap \
        headers reqtimeout setenvif socache_shmcb ssl status auth_gssapi \
        proxy proxy_http slotmem_shm proxy_balancer remoteip rewrite; do
        if [ -e "$modules/mod_$m.so" ]; then
            echo "LoadModule ${m}_module $modules/mod_$m.so"
        fi
    done
    echo "LoadModule rpcproxy_module $built/mod_rpcproxy.so"
    echo "LoadModule proxy_rpch_module $built/mod_proxy_rpch.so"
    echo "Listen 127.0.0.1:443"
    # Directives for a section are shown without it, now and then.
    if ! grep -q '^ *<' "$1" && grep -Eq '^ *(SetHandler|Auth|Require)' "$1"
    then
        echo '<Location "/rpc">'
        localise "$1"
        echo '</Location>'
    else
        localise "$1"
    fi
}

mkdir "$scratch/logs"
total=0 failed=0
for document in "$root/README.md" "$root"/docs/*.md; do
    n=$(split "$document")
    i=0
    while [ "$i" -lt "$n" ]; do
        i=$((i + 1))
        total=$((total + 1))
        write_conf "$scratch/block.$i" >"$scratch/httpd.conf"
        if ! LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 \
            "$httpd" -t -f "$scratch/httpd.conf" >"$scratch/out" 2>&1; then
            failed=$((failed + 1))
            echo "FAIL: ${document#"$root/"}, block $i:"
            cat "$scratch/out" "$scratch/block.$i"
        fi
    done
done
[ $total -gt 0 ] || {
    echo "FAIL: no example was found"
    exit 1
}
echo "$((total - failed)) examples accepted, $failed refused"
[ $failed = 0 ]
