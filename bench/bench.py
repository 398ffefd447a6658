#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of mod_rpcproxy beside HAProxy (tcp mode), stock httpd with
mod_proxy_connect, direct TCP, and the module's own request-thread loop, and of
mod_proxy_rpch beside mod_proxy_http and HAProxy (http mode), all in one run.

    make bench         the short form, about seven minutes
    make bench-full    everything, with 25,000 TLS channels at its end

Prints one table: medians over the rounds, their spread (largest - smallest,
in percent of the median), and the ratio of ours to the reference. Writes
bench/out/summary.tsv, and for docs/performance.md (bench/report.py)
bench/out/table.md. See bench/README.md for what is measured how.
"""

import argparse
import sys
import time
from pathlib import Path

import cases
import cases_front
import cases_idle
import load
import proc
import rig as rig_
import servers
import stats
import ways as ways_

HERE = Path(__file__).resolve().parent

#: In the order in which they run; what is quick and asked for most first.
GROUPS = {
    "idle": cases_idle.all_idle,
    "bulk": cases.all_bulk,
    "call": cases.all_calls,
    "setup": cases.all_setup,
    "front-idle": cases_front.all_idle,
    "front-bulk": cases_front.all_bulk,
    "front-call": cases_front.all_calls,
    "get": cases_idle.all_gets,
    "growth": cases_idle.all_growth,
    "many": cases_idle.all_many,
}


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[*GROUPS, "front"],
                        help="groups of cases; front: all of that name")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--many", type=int,
                        help="virtual connections of the great run")
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument("--nice", type=int, default=0, metavar="N",
                        help="of everything in the run; -15 on a machine "
                        "that others use as well")
    parser.add_argument("--keep", action="store_true",
                        help="keep the scratch directory")
    return parser.parse_args()


def plan_of(options):
    plan = cases.FULL if options.full else cases.SHORT
    changes = {}
    if options.rounds:
        changes.update(rounds=options.rounds, call_rounds=options.rounds,
                       setup_rounds=options.rounds,
                       front_rounds=options.rounds,
                       front_idle_rounds=min(3, options.rounds), shares=())
    if options.many:
        changes["many"] = options.many
    return type(plan)(**{**plan.__dict__, **changes})


def run(bench):
    """All groups; a group that fails is told and does not stop the others.
    Returns what failed."""
    failed = []
    for name, group in GROUPS.items():
        if not bench.wants(name):
            continue
        try:
            group(bench)
        except rig_.Failed as error:
            failed.append(f"{name}: {' '.join(str(error).split())}")
            bench.say(f"FAILED {name}: {error}")
    return failed


def command(options):
    """What was called, as make has it."""
    args = [a for a in sys.argv[1:] if a != "--full"]
    if "--out" in args:
        at = args.index("--out")
        del args[at:at + 2]
    more = f" BENCH_ARGS='{' '.join(args)}'" if args else ""
    return f"make bench{'-full' if options.full else ''}{more}"


def write(options, bench, failed):
    rows = list(bench.rows.values())
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "summary.tsv").write_text(stats.summary(rows))
    head = [f"Date: {time.strftime('%Y-%m-%d', time.gmtime())}",
            *proc.machine(), *servers.versions(),
            f"Command: {command(options)}"]
    notes = list(dict.fromkeys(bench.notes)) + [f"failed: {text}" for text in failed]
    (options.out / "table.md").write_text(
        "\n".join(f"- {line}" for line in head) + "\n\n"
        + stats.markdown(rows)
        + "".join(f"\n- {note.splitlines()[0]}\n" for note in notes))
    print("\n" + "\n".join(head) + "\n\n" + stats.table(rows))
    for note in notes:
        print(note)
    print(f"written: {options.out / 'summary.tsv'}")


def main():
    options = read_options()
    try:
        rig_.enter_namespace()
        load.program()
        rig_.need_program("haproxy", "haproxy")
        rig_.need_program("openssl", "openssl")
        rig_.set_nice(options.nice)
        with rig_.Rig() as rig:
            bench = cases.Bench(rig, ways_.Ways(rig), plan_of(options),
                                options.only)
            failed = run(bench)
            write(options, bench, failed)
        return 1 if failed else 0
    except rig_.Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
