/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch_load.c - the load generator of the benchmarks: a server, clients of it
 * through RPC over HTTP or directly, and ordinary GETs. README.md tells more.
 */
#include "load_client.h"
#include "load_get.h"
#include "load_pattern.h"
#include "load_server.h"

void load_usage(FILE *to)
{
    fputs(
"usage: rpch-load server [options]\n"
"       rpch-load client [options] bulk-out|bulk-in|calls|idle|churn\n"
"       rpch-load get [options]\n"
"Load for a proxy of RPC over HTTP. Compares every byte, prints one JSON line.\n"
"\n"
"server, until SIGTERM:\n"
"  --listen ADDRESS:PORT  default 127.0.0.1:0\n"
"  --port-file FILE       the port is written there\n"
"  --frag N               bytes of a PDU, at most (default 5840)\n"
"  --window N             receive window of S-IN (default 65536)\n"
"  --reserve N            of C-OUT's lifetime left when it is recycled\n"
"                         (default 8192; 0: never)\n"
"client and get:\n"
"  --connect HOST:PORT[,...]  several: in turn, by connection\n"
"  --host NAME            what Host and SNI say\n"
"  --user NAME:PASSWORD   Basic authentication\n"
"  --tls  --ca FILE       TLS; --ca: the server is verified\n"
"  --source A.B.C.D[-E]   source addresses, in turn\n"
"  --connections N        default 1 (get: 16)\n"
"  --timeout SECONDS      of an opening, a call, a stall (default 60)\n"
"  --ready-file FILE      written when all connections are open\n"
"  --wait                 measure from SIGUSR1 on\n"
"  --rate R|max           calls or GETs a second (default max; get: 100)\n"
"  --seconds S            default 10\n"
"client:\n"
"  --via rpch|v1|connect|raw  default rpch\n"
"  --target NAME:PORT[,...]   the server, as the proxy is asked for it\n"
"  --url PATH             default /rpc/rpcproxy.dll\n"
"  --open-parallel N      being opened at once (default 64)\n"
"  --frag N  --window N   as above; the window of C-OUT\n"
"  --in-lifetime N        Content-Length of IN requests (default 1073741824)\n"
"  --bytes N              bulk: by connection (default 1048576)\n"
"  --size N               calls, idle: bytes of stub each way (default 100)\n"
"  --calls-rate R         idle: calls a second over all (default 0); SIGUSR1\n"
"                         prints the line so far and begins anew\n"
"get:\n"
"  --path /X              default /\n"
"\n"
"Exit status: 0 when all was right, 1 when not, 2 when the options are wrong.\n",
        to);
}

int main(int argc, char **argv)
{
    static load_options options;
    int rv = load_options_read(&options, argc, argv);

    if (rv == 0) {
        load_pattern_init();
        if (options.program == LOAD_SERVER)
            rv = load_server_run(&options);
        else if (options.program == LOAD_CLIENT)
            rv = load_client_run(&options);
        else
            rv = load_get_run(&options);
    }
    load_options_free(&options);
    return rv < 0 ? 0 : rv;
}
