#!/usr/bin/env bash
# How the programs of tests/e2e count: each test once, whatever fails around or within it.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/scripts/checks.sh
. tests/scripts/checks.sh

cases() {
    PYTHONPATH=tests/e2e PYTHONDONTWRITEBYTECODE=1 python3 - "$@" 2>/dev/null <<'PY'
import unittest
import client


class Good(unittest.TestCase):
    def test_good(self):
        pass


class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise AssertionError("no test of this class runs")

    test_a = test_b = lambda self: None


class Away(Broken):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("it is away")


class Parts(unittest.TestCase):
    def test_parts(self):
        for i in range(3):
            with self.subTest(i=i):
                self.fail("part")


client.main()
PY
}

is_last() { # WHAT LINE CASE...
    local what=$1 line=$2
    shift 2
    test "$(cases "$@" | tail -n 1)" = "$line"
    check "$what" $?
}

is_last "a class that breaks, one that is skipped, parts that fail" "1 passed, 4 failed, 1 skipped"
is_last "nothing but a class that is skipped" "0 passed, 0 failed, 1 skipped" Away
checks_done
