#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the benchmarks' own arithmetic, tables, readers of /proc and
judgements; nothing is measured and no server started. Run by make check."""

import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench          # noqa: E402
import cases          # noqa: E402
import cases_front    # noqa: E402
import cases_idle     # noqa: E402
import load           # noqa: E402
import proc           # noqa: E402
import report         # noqa: E402
import servers        # noqa: E402
import servers_front  # noqa: E402
import soak_watch     # noqa: E402
import stats          # noqa: E402
import ways           # noqa: E402


class Arithmetic(unittest.TestCase):
    def test_median(self):
        self.assertIsNone(stats.median([]))
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 2, 3]), 2.5)

    def test_percentile_is_a_value_that_was_measured(self):
        values = list(range(1, 101))
        self.assertEqual(stats.percentile(values, 99), 99)
        self.assertEqual(stats.percentile(values, 100), 100)
        self.assertEqual(stats.percentile([7], 99), 7)
        self.assertIsNone(stats.percentile([], 50))

    def test_spread(self):
        self.assertEqual(stats.spread([9, 10, 11]), 0.2)
        self.assertIsNone(stats.spread([5]))
        self.assertIsNone(stats.spread([0, 0]))
        self.assertIsNone(stats.spread([-5, 1, 9]))

    def test_ratio_of_neighbours(self):
        # One round in which the machine was slow for both: no difference.
        self.assertEqual(stats.ratio_of_rounds([10, 5, 10], [20, 10, 20]), .5)
        self.assertEqual(stats.ratio_of_rounds([10, 30], [5]), 4)
        self.assertIsNone(stats.ratio_of_rounds([1], []))
        self.assertIsNone(stats.ratio_of_rounds([1], [0]))

    def test_numbers_have_three_digits(self):
        self.assertEqual([stats.number(v) for v in
                          (None, 0, 0.12345, 12.345, 1234.5, "x")],
                         ["-", "0", "0.123", "12.3", "1234", "x"])


class Rows(unittest.TestCase):
    def test_goals(self):
        row = stats.Row("a", [2.0], [1.0], "b", at_most=1.0)
        self.assertEqual((row.goal(), row.verdict()), ("<= 1 x", "no"))
        row = stats.Row("a", [2.0], [1.0], "b", at_least=1.0)
        self.assertEqual(row.verdict(), "yes")
        row = stats.Row("a", [27.0], [90.0], "b", at_most=28, absolute=True)
        self.assertEqual((row.goal(), row.verdict()), ("<= 28", "yes"))
        self.assertEqual(stats.Row("a", [1.0]).verdict(), "")
        self.assertEqual(stats.Row("a", at_most=1.0).verdict(), "")

    def test_differences_are_compared_by_their_medians(self):
        row = stats.Row("a", [1.0, 9.0, 2.0], [-1.0, 4.0, 4.0], "b",
                        of_medians=True)
        self.assertEqual(row.ratio(), 0.5)
        row = stats.Row("a", [1.0], [-1.0], "b", of_medians=True, at_most=1)
        self.assertEqual((row.ratio(), row.verdict()), (None, ""))

    def test_summary_has_its_five_columns(self):
        text = stats.summary([stats.Row("a", [2.0], [4.0], "b"),
                              stats.Row("c", [1.5])])
        self.assertEqual(text.splitlines(),
                         ["case\tours\treference\treference-name\tratio",
                          "a\t2\t4\tb\t0.5", "c\t1.5\t-\t-\t-"])

    def test_tables_have_equal_lines(self):
        rows = [stats.Row("a", [2.0, 4.0], [4.0, 4.0], "b", at_most=1)]
        lines = stats.markdown(rows).splitlines()
        self.assertEqual({line.count("|") for line in lines},
                         {len(stats.TABLE_HEAD) + 1})
        self.assertEqual(len(stats.table(rows).splitlines()), 2)

    def test_a_report_replaces_its_own_part_only(self):
        doc = "\n".join(("a", report.BEGIN, "old", report.END, "b",
                         report.FRONT[0], "old front", report.FRONT[1], "c"))
        done = report.insert(doc, "new", report.FRONT)
        self.assertIn(f"{report.FRONT[0]}\n\nnew\n\n{report.FRONT[1]}\nc",
                      done)
        self.assertIn(f"{report.BEGIN}\nold\n{report.END}", done)
        with self.assertRaises(ValueError):
            report.insert("without marks", "new", report.FRONT)

    def test_the_front_s_lines_are_in_its_own_part(self):
        self.assertEqual(report.without_front("| bulk | 1 |\n| front-x | 2 |"
                                              "\n\n- a note"),
                         "| bulk | 1 |\n\n- a note")

    def test_the_front_s_table_has_both_peers_in_a_line(self):
        rows = [stats.Row("front-x", [2.0], [4.0], "h", at_most=1.2),
                stats.Row("front-x-vs-mod_proxy_http", [2.0], [1.0], "m",
                          at_most=1.0)]
        lines = report.pairs("- head\n\n" + stats.markdown(rows)
                             + "\n- a note\n").splitlines()
        self.assertEqual(lines[0], "- head")
        self.assertEqual(lines[-1], "- a note")
        self.assertEqual([line for line in lines if "front-x" in line],
                         ["| front-x | 2 | - | 4 | - | 0.5 | 1 | - | 2: no |"])
        self.assertEqual(len({line.count("|") for line in lines
                              if line.startswith("|")}), 1)


class Load(unittest.TestCase):
    def test_histograms_add_up(self):
        a, b = [[0, 10, 1], [1000, 10, 2]], [[1000, 10, 1], [2000, 20, 4]]
        merged = load.merge_histograms([a, b])
        self.assertEqual(merged, [[0, 10, 1], [1000, 10, 3], [2000, 20, 4]])
        self.assertEqual(load.histogram_percentile(merged, 50), 1.005)
        self.assertEqual(load.histogram_percentile(merged, 99), 2.01)
        self.assertIsNone(load.histogram_percentile([], 50))

    def test_the_last_line_counts(self):
        text = 'noise\n{"calls": 1}\nnoise\n{"calls": 2}\nnoise\n'
        self.assertEqual(load.parse_line(text), {"calls": 2})
        with self.assertRaises(Exception):
            load.parse_line("nothing here\n")

    def test_options_of_each_way(self):
        class Server:
            port = 7

            def target(self, name):
                return f"{name}:7"
        argv = load.client_argv("rpch", 9, [Server()], 3, True, 64, "n")
        self.assertIn("--tls", argv)
        self.assertEqual(argv[argv.index("--target") + 1], "n:7")
        self.assertEqual(argv[argv.index("--window") + 1], 65536)
        argv = load.client_argv("connect", 9, [Server(), Server()])
        self.assertEqual(argv[argv.index("--target") + 1],
                         "127.0.0.1:7,127.0.0.1:7")
        self.assertNotIn("--target", load.client_argv("raw", 9, [Server()]))


    def test_the_cost_of_an_end_is_not_of_the_calls(self):
        clock = iter((100.0, 101.0, 101.0))
        used = iter((5.0, 7.0))        # it is not asked again behind the end
        client = mock.Mock()
        client.end.return_value = {"seconds": 1.5}
        with mock.patch.object(load.proc, "cpu", lambda _: next(used)), \
                mock.patch.object(load.proc, "tree", lambda _: [1]), \
                mock.patch.object(load.time, "monotonic",
                                  lambda: next(clock)):
            _, cpu = load.cost([client], 1, seconds=0)
        self.assertEqual(cpu, 3.0)     # 2 s in 1 s, over 1.5 s


class Proc(unittest.TestCase):
    def test_stat_with_an_odd_name(self):
        fields = proc.parse_stat("12 (a ) b) S 1 2 3")
        self.assertEqual(fields[:2], ["S", "1"])

    def test_rollup(self):
        found = proc.parse_rollup("0-1 ---p 0 00:00 0 [rollup]\n"
                                  "Rss:   1728 kB\nPss:  196 kB\n")
        self.assertEqual(found["Pss"], 196)

    def test_cpu_time_grows_with_work(self):
        pids = [os.getpid()]
        before = proc.cpu(pids)
        sum(n * n for n in range(300000))
        self.assertGreater(proc.cpu(pids), before)

    def test_a_child_belongs_to_the_tree(self):
        child = subprocess.Popen(["sleep", "60"])
        try:
            self.assertIn(child.pid, proc.tree(os.getpid()))
            one = proc.snapshot(child.pid)
            self.assertEqual((one.processes, one.threads), (1, 1))
            self.assertGreater(one.rss_kb, 0)
        finally:
            child.kill()
            child.wait()

    def test_who_has_ended_counts_nothing(self):
        child = subprocess.Popen(["true"])
        child.wait()
        self.assertEqual(proc.cpu([child.pid]), 0)
        self.assertEqual(proc.memory_kb([child.pid]), 0)


class Servers(unittest.TestCase):
    def test_a_worker_for_each_channel_where_that_is_needed(self):
        for channels in (1, 128, 400, 2000):
            shape = servers.loop_shape(channels)
            self.assertGreater(shape.children * shape.threads, channels)

    def test_one_great_child_is_within_its_descriptors(self):
        shape = servers.Shape(factor=cases_idle.FACTOR)
        most = shape.threads * (1 + shape.factor)
        self.assertLess(2 * most * 8 / 7, 20000)
        self.assertGreater(shape.children * most, 25000)

    def test_plans(self):
        self.assertLess(cases.SHORT.rounds, cases.FULL.rounds)
        self.assertEqual(2 * cases.FULL.many, 25000)
        options = mock.Mock(full=True, rounds=2, many=10)
        plan = bench.plan_of(options)
        self.assertEqual((plan.rounds, plan.many, plan.name), (2, 10, "full"))


class Fronts(unittest.TestCase):
    def test_goals_of_rates_and_of_costs(self):
        self.assertEqual(cases_front.goal("mbps", "mod_proxy_http"),
                         {"at_least": 1.0})
        self.assertEqual(cases_front.goal("cpu", "haproxy-http"),
                         {"at_most": 1.2})
        rate = cases_front.goal("per-second", "haproxy-http")
        row = stats.Row("a", [100.0], [119.0], "b", **rate)
        self.assertEqual(row.verdict(), "yes")
        row = stats.Row("a", [100.0], [121.0], "b", **rate)
        self.assertEqual(row.verdict(), "no")

    def test_a_round_has_a_row_for_each_peer(self):
        many = cases.Bench(None, None, cases.SHORT)
        got = {name: {"cpu": n} for n, name in
               enumerate(("front", *cases_front.PEERS), 1)}
        cases_front.add(many, "x", got, ("cpu",))
        self.assertEqual({case: row.ratio() for case, row in
                          many.rows.items()},
                         {"x-cpu": 1 / 2, "x-cpu-vs-mod_proxy_http": 1 / 3})

    def test_what_is_added_is_beyond_the_inner_proxy(self):
        many = cases.Bench(None, None, cases.SHORT)
        got = {name: {"median-us": 10.0 * n} for n, name in
               enumerate(("front", *cases_front.PEERS), 2)}
        cases_front.add_added(many, "x", got, {"median-us": 10.0})
        self.assertEqual(many.rows["x-added"].ours, [10.0])
        self.assertEqual(many.rows["x-added-vs-mod_proxy_http"].reference,
                         [30.0])

    def test_all_are_fronts_that_ways_know(self):
        self.assertEqual(set(ways.FRONTS), {"front", *cases_front.PEERS})

    def test_a_worker_for_each_request_of_mod_proxy_http(self):
        rig = mock.Mock()
        with mock.patch.object(servers_front.FrontHttpd, "__init__") as init:
            servers_front.StockHttpd(rig, 7, cases_front.FEW)
        shape = init.call_args[0][2]
        self.assertGreater(shape.children * shape.threads,
                           2 * cases_front.FEW)

    def test_front_is_the_name_of_several_groups(self):
        some = cases.Bench(None, None, cases.SHORT, ["front"])
        self.assertEqual([g for g in bench.GROUPS if some.wants(g)],
                         ["front-idle", "front-bulk", "front-call"])


def line(text, level="warn", module="rpcproxy"):
    return (f"[Sun Nov 22 16:26:50.1 2026] [{module}:{level}] "
            f"[pid 7:tid 7] {text}")


class Soak(unittest.TestCase):
    def test_lines_are_explained_by_tag_or_level(self):
        self.assertTrue(soak_watch.explain(line("RPX0302: a child died")))
        self.assertTrue(soak_watch.explain(line("hello", "info")))
        self.assertIsNone(soak_watch.explain(line("RPX0341: cannot be")))
        self.assertIsNone(soak_watch.explain("free(): invalid pointer"))

    def test_drift_of_cycles(self):
        flat = [100, 50, 51, 49, 50, 51, 50]
        self.assertLess(abs(soak_watch.drift(flat, 1)), 0.03)
        self.assertGreater(soak_watch.drift([100, 50, 60, 70, 80, 90, 99], 1),
                           0.5)
        self.assertIsNone(soak_watch.drift([1, 2], 1))

    def test_medians_of_cycles(self):
        samples = [{"seconds": s, "x": s // 10} for s in range(0, 30)]
        self.assertEqual(soak_watch.cycle_medians(samples, "x", 10),
                         [0, 1, 2])

    def test_marks_tell_a_leak(self):
        first = dict(server="a", processes=3, descriptors=20, threads=9,
                     entries=0, channels_in=0, channels_out=0, anon_kb=10000,
                     shmem_kb=2000, parent_rss_kb=5000)
        good = soak_watch.judge_marks(first, dict(first), True)
        self.assertTrue(all(ok for _, ok in good))
        for column, value in (("descriptors", 21), ("entries", 1),
                              ("anon_kb", 11000), ("shmem_kb", 2800),
                              ("channels_in", "")):
            bad = soak_watch.judge_marks(first, dict(first, **{column: value}),
                                         True)
            self.assertEqual([ok for _, ok in bad].count(False), 1, column)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
