#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs rpch-dump (its path is in RPCH_DUMP) on streams made here, and compares
# what it prints and its exit status.

dump=${RPCH_DUMP:?RPCH_DUMP does not name the program}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
tests=0
failed=0

# Writes the bytes that the hexadecimal arguments name.
bytes() {
    for b in $*; do
        printf "\\$(printf '%03o' "0x$b")"
    done
}

# check NAME STATUS OPTION...: dumps $dir/in, compares with $dir/want.
check() {
    name=$1 want_status=$2
    shift 2
    "$dump" "$@" <"$dir/in" >"$dir/got" 2>&1
    status=$?
    tests=$((tests + 1))
    if [ $status -ne "$want_status" ] || ! cmp -s "$dir/want" "$dir/got"; then
        failed=$((failed + 1))
        echo "FAIL: $name: exit status $status, wanted $want_status"
        diff "$dir/want" "$dir/got"
    fi
}

rts() { # FRAG_LENGTH FLAGS COMMANDS, of the header of an RTS PDU
    bytes 05 00 14 03 10 00 00 00 "$1" 00 00 00 00 00 00 00 "$2" 00 "$3" 00
}
version() { bytes 06 00 00 00 01 00 00 00; }
window() { bytes 00 00 00 00 00 00 01 00; }
cookie() { # its first byte
    bytes 03 00 00 00 "$1" 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
}
ping() { rts 14 01 00; }
bind() { bytes 05 00 0b 03 10 00 00 00 18 00 00 00 02 00 00 00 \
               d0 16 d0 16 00 00 00 00; }
request() { bytes 05 00 00 03 10 00 00 00 18 00 08 00 04 03 02 01 \
                  00 00 00 00 00 00 2a 01; }
request_be() { bytes 05 00 00 83 00 00 00 00 00 18 00 00 01 02 03 04 \
                     00 00 00 00 00 00 01 2a; }

: >"$dir/in"
: >"$dir/want"
check "nothing" 0

{ rts 4c 00 04; version; cookie a0; cookie b0; window
  ping
  rts 1c 04 01; bytes 0d 00 00 00 00 00 00 00
  rts 38 02 02; bytes 0d 00 00 00 03 00 00 00
  bytes 01 00 00 00 40 9c 00 00 00 00 01 00
  bytes b0 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
  rts 18 20 01; bytes 0a 00 00 00
  rts 1c 08 01; bytes 08 00 00 00 00 00 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 76 CONN/A1 flags=NONE Version=1 Cookie=a0010203 Cookie=b0010203 ReceiveWindowSize=65536
76 20 Ping flags=PING
96 28 OUT_R1/A1=OUT_R1/A2=OUT_R2/A1=OUT_R2/A2 flags=RECYCLE_CHANNEL Destination=FDClient
124 56 FlowControlAckWithDestination flags=OTHER_CMD Destination=FDOutProxy FlowControlAck=40000,65536,b0010203
180 24 OUT_R2/B3 flags=EOF ANCE
204 28 unknown flags=IN_CHANNEL Padding=0
END
check "RTS PDUs" 0
check "RTS PDUs from a file" 0 "$dir/in"
check "RTS PDUs from -" 0 -

{ rts 80 08 07; version; cookie a0; cookie c0; window
  bytes 02 00 00 00 c0 d4 01 00
  bytes 0c 00 00 00 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f
  bytes 0b 00 00 00 00 00 00 00 00 00 00 00 c0 00 02 21
  bytes 00 00 00 00 00 00 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 128 CONN/B2 flags=IN_CHANNEL Version=1 Cookie=a0010203 Cookie=c0010203 ReceiveWindowSize=65536 ConnectionTimeout=120000 AssociationGroupId=90919293 ClientAddress=192.0.2.33
END
check "an address" 0

{ bind; request; request_be
  bytes 05 00 63 03 10 00 00 00 10 00 00 00 00 00 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 24 bind flags=0x03 call_id=2 frag_length=24 (too short for a bind)
24 24 request flags=0x03 call_id=16909060 frag_length=24 auth_length=8 opnum=298
48 24 request flags=0x83 call_id=16909060 frag_length=24 big-endian opnum=298
72 16 ptype=99 flags=0x03 call_id=0 frag_length=16
END
check "RPC PDUs" 0

echo_uuid() { bytes c5 5e a1 60 e8 4d d7 11 a6 37 00 50 56 a2 01 82; }
ndr() { bytes 04 5d 88 8a eb 1c c9 11 9f e8 08 00 2b 10 48 60 02 00 00 00; }
{ bytes 05 00 0b 03 10 00 00 00 74 00 00 00 02 00 00 00 \
        d0 16 d0 16 00 00 00 00 02 00 00 00
  bytes 00 00 01 00; echo_uuid; bytes 01 00 03 00; ndr
  bytes 01 00 01 00; echo_uuid; bytes 02 00 00 00; ndr; } >"$dir/in"
cat >"$dir/want" <<'END'
0 116 bind flags=0x03 call_id=2 frag_length=116 interface=60a15ec5-4de8-11d7-a637-005056a20182/1.3 interface=60a15ec5-4de8-11d7-a637-005056a20182/2.0
END
check "the interfaces of a bind" 0

{ printf 'HTTP/1.1 503 RPC Error: 6ba, EEInfo: '
  printf 'ARAIAMzMzMxAAAAAAAAAAAAAAgACAAAAAAAAAAIAAgAqAAAAAAAAAAAAAAAAAAAA'
  printf 'DgAAALoGAACgBQAAAgAAAAMAAwD/////BgAGAAAAAAA=\r\n'
  printf 'Content-Length: 0\r\n\r\n'
  printf 'HTTP/1.1 503 RPC Error: 6ba, EEInfo: AAAA\r\n'
  printf 'Content-Length: 0\r\n\r\n'; } >"$dir/in"
cat >"$dir/want" <<'END'
0 168 http HTTP/1.1 503 RPC Error: 6ba, EEInfo: ARAIAMzMzMxAAAAAAAAAAAAAAgACAAAAAAAAAAIAAgAqAAAAAAAAAAAAAAAAAAAADgAAALoGAACgBQAAAgAAAAMAAwD/////BgAGAAAAAAA=
    EEInfo: computer=- pid=42 component=14 status=0x6ba location=1440 flags=0 LongVal=-1 none
168 64 http HTTP/1.1 503 RPC Error: 6ba, EEInfo: AAAA
    EEInfo: it ends too early
END
check "EEInfo" 0 --http

{ printf 'ncacn_http/1.0'; ping; } >"$dir/in"
cat >"$dir/want" <<'END'
0 14 banner ncacn_http/1.0
14 20 Ping flags=PING
END
check "a server's banner" 0 --server
cat >"$dir/want" <<'END'
rpch-dump: offset 0: rpc_vers is not 5
END
check "a banner that is not expected" 1

{ printf 'RPC_IN_DATA /rpc HTTP/1.0\r\nContent-Length: 0\r\n\r\n'
  printf 'RPC_IN_DATA /rpc HTTP/1.0\r\ncontent-length:4\r\n\r\n\1\2\3\4'
  printf 'RPC_IN_DATA /rpc HTTP/1.0\nContent-Length: 40\n\n'
  ping; ping
  printf 'RPC_IN_DATA /rpc HTTP/1.0\r\nContent-Length: 100\r\n\r\n'; ping
} >"$dir/in"
cat >"$dir/want" <<'END'
0 48 http RPC_IN_DATA /rpc HTTP/1.0
48 47 http RPC_IN_DATA /rpc HTTP/1.0
99 46 http RPC_IN_DATA /rpc HTTP/1.0
145 20 Ping flags=PING
165 20 Ping flags=PING
185 50 http RPC_IN_DATA /rpc HTTP/1.0
235 20 Ping flags=PING
END
check "HTTP requests" 0 --http

{ printf 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nno no'
  printf 'HTTP/1.1 200 Success\r\nContent-Length: 21\r\n\r\n'
  ping; rts 18 00 01; } >"$dir/in"
cat >"$dir/want" <<'END'
0 48 http HTTP/1.1 401 Unauthorized
53 44 http HTTP/1.1 200 Success
97 20 Ping flags=PING
rpch-dump: offset 117: the HTTP body ends inside this PDU
END
check "an HTTP body that ends inside a PDU" 1 --http

{ printf 'HTTP/1.1 100 Continue\r\n\r\n'
  printf 'HTTP/1.1 200 Success\r\nContent-Length: 1073741824\r\n\r\n'
  ping; } >"$dir/in"
cat >"$dir/want" <<'END'
0 25 http HTTP/1.1 100 Continue
25 52 http HTTP/1.1 200 Success
77 20 Ping flags=PING
END
check "HTTP heads" 0 --http

printf 'RPC_IN_DATA /rpc HTTP/1.1\r\nHost: x\r\n' >"$dir/in"
cat >"$dir/want" <<'END'
rpch-dump: offset 0: the input ends inside the HTTP head
END
check "an HTTP head without an end" 1 --http

{ ping; rts 18 00 01; bytes 0a 00 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 20 Ping flags=PING
    0000  05 00 14 03 10 00 00 00 14 00 00 00 00 00 00 00
    0010  01 00 00 00
20 24 OUT_R1/A9=OUT_R1/A10=OUT_R1/A11=OUT_R2/B1 flags=NONE ANCE
    0000  05 00 14 03 10 00 00 00 18 00 00 00 00 00 00 00
    0010  00 00 01 00 0a 00 00 00
END
check "hexadecimal" 0 -x

printf 'HTTP/1.1 100 Continue\r\n\r\n' >"$dir/in"
echo '0 25 http HTTP/1.1 100 Continue' >"$dir/want"
check "an HTTP head alone" 0 --http

# the PDU is wrong inside, but its end is known
{ ping; rts 18 00 01; bytes 0f 00 00 00; ping; } >"$dir/in"
cat >"$dir/want" <<'END'
0 20 Ping flags=PING
rpch-dump: offset 20: CommandType is undefined
44 20 Ping flags=PING
END
check "a bad RTS PDU" 1

{ ping; bytes 05 00 00 03 10 00 00 00 0f 00 00 00 00 00 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 20 Ping flags=PING
rpch-dump: offset 20: frag_length is below the header's size
END
check "a bad header" 1

{ ping; bind; bytes 05 00 00 03 10 00 00 00 20 00 00 00 00 00 00 00
  bytes 00 00; } >"$dir/in"
cat >"$dir/want" <<'END'
0 20 Ping flags=PING
20 24 bind flags=0x03 call_id=2 frag_length=24 (too short for a bind)
rpch-dump: offset 44: the input ends inside this PDU
END
check "an unfinished PDU" 1

cat >"$dir/want" <<END
rpch-dump: $dir/missing: No such file or directory
END
check "a missing file" 1 "$dir/missing"

"$dump" -h </dev/null >"$dir/want" 2>&1 || failed=$((failed + 1))
grep -q '^usage: rpch-dump' "$dir/want" || failed=$((failed + 1))
check "--help" 0 --help
check "too many files" 2 a b

echo "test_dump: $tests checks, $failed failures"
[ $failed -eq 0 ]
