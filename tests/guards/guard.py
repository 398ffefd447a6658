# SPDX-License-Identifier: Apache-2.0
"""What the guards share: the files of the tree, and enough of C's syntax.

A guard is run as `guard.py [ROOT]`; ROOT is the source tree (default: where
the guard lies). It prints one line for each offence and one closing line, and
exits 1 when there was an offence or when it found nothing to check.
"""

import os
import re
import sys

FOLDERS = (".ci", "bench", "changes", "conf", "docs", "lib", "tests", "tools")
SKIP_FOLDERS = ("__pycache__", ".pytest_cache", ".deps", ".libs", "out")
SKIP_ENDINGS = (".o", ".lo", ".la", ".log", ".trs", ".pyc", "~")


class Guard:
    def __init__(self, name):
        here = os.path.dirname(os.path.abspath(__file__))
        self.name = name
        self.root = os.path.abspath(
            sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../.."))
        self.offences = 0

    def files(self, *endings, under=None):
        """Paths relative to the root, sorted; all folders, or those given,
        and, without under, the files of the top folder."""
        found = []
        for folder in under or FOLDERS:
            for path, folders, names in os.walk(
                    os.path.join(self.root, folder)):
                folders[:] = [f for f in folders if f not in SKIP_FOLDERS]
                found += [os.path.relpath(os.path.join(path, n), self.root)
                          for n in names]
        if under is None:
            found += [n for n in os.listdir(self.root)
                      if os.path.isfile(os.path.join(self.root, n))]
        return sorted(f for f in found if not f.endswith(SKIP_ENDINGS)
                      and (not endings or f.endswith(endings)))

    def read(self, path):
        try:
            with open(os.path.join(self.root, path), encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            print(f"FAIL {self.name}: {path} is missing")
            sys.exit(1)

    def bad(self, path, line, text):
        self.offences += 1
        where = f"{path}:{line}" if line else path
        print(f"{where}: {text}")

    def done(self, checked, what):
        """The closing line, and the exit."""
        if not checked:
            print(f"FAIL {self.name}: nothing to check was found: {what}")
            sys.exit(1)
        verdict = "FAIL" if self.offences else "PASS"
        print(f"{verdict} {self.name}: {checked} {what}, "
              f"{self.offences} offences")
        sys.exit(1 if self.offences else 0)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


_TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def _blank(match, keep):
    text = match.group(0)
    if keep(text):
        return text
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """C with comments blanked; every character keeps its place."""
    return _TOKEN.sub(lambda m: _blank(m, lambda t: t[0] != "/"), text)


def code_only(text):
    """C with comments, strings and characters blanked."""
    return _TOKEN.sub(lambda m: _blank(m, lambda t: False), text)


def without_preprocessor(text):
    """C with preprocessor lines (continued ones too) blanked."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda m: _blank(m, lambda t: False), text, flags=re.M)


def functions(text):
    """(name, first line, last line) of each function defined in C text."""
    code = without_preprocessor(code_only(text))
    found = []
    for match in re.finditer(r"^\{", code, re.M):
        head_end = match.start()
        head_start = max(code.rfind(c, 0, head_end) for c in ";}") + 1
        head = code[head_start:head_end]
        call = re.search(r"(\w+)\s*\(", head)
        end = code.find("\n}", match.end())
        if not call or end < 0:
            continue
        first = head_start + len(head) - len(head.lstrip())
        found.append((call.group(1), line_of(code, first),
                      line_of(code, end + 1)))
    return found
