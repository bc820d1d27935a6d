#!/usr/bin/env python3
"""One table of options: what --help says, the shipped file, the man page and the README agree."""
import os
import re
import subprocess
import tempfile
import unittest

import client
from client import ROOT, TINY_MODEL, run_once

COMMANDS = {"config", "check-config", "healthcheck", "version", "help"}  # no place in a file


def read_help():
    """{name: (argument or None, default or None)}"""
    options, name = {}, None
    for line in run_once("--help")[1].splitlines():
        found = re.match(r"  --(\S+)(?: ([A-Z]+|unix:PATH))?(\s+\S.*)?$", line)
        if found:
            name = found.group(1)
            options[name] = [found.group(2), found.group(3) or ""]
        elif line.startswith("     ") and name:
            options[name][1] += " " + line.strip()
        else:
            name = None
    return {name: (argument, (re.search(r"\[(\S+)\]$", text) or [None, None])[1])
            for name, (argument, text) in options.items()}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.options = read_help()

    def test_help_lists_options(self):
        self.assertGreater(len(self.options), 20)
        self.assertEqual(self.options["window"], ("TOKENS", "0"))
        self.assertEqual(self.options["model"], ("FILE", None))
        self.assertEqual(self.options["no-auth"], (None, None))

    def test_the_shipped_file_has_each_with_its_default(self):
        found = dict(re.findall(r"^(?:# )?([a-z-]+) = ?(.*)$", read("config/sinkd.ini"), re.M))
        self.assertEqual(set(found), set(self.options) - COMMANDS)
        for name, value in found.items():
            argument, default = self.options[name]
            if default is not None:
                self.assertEqual(value, default, name)
            elif argument is None:
                self.assertEqual(value, "no", name)

    def test_the_man_page_has_each_with_its_default(self):
        page = subprocess.run(["scripts/make-man.sh", client.SINKD, "docs/sinkd.1.in"], cwd=ROOT,
                              check=True, capture_output=True, text=True).stdout
        page = page.replace("\\-", "-")
        found = {}
        for entry in page.split(".TP\n"):
            head = re.match(r"\.BI? --(\S+)(?: \" (\S+)\")?\n", entry)
            if head:
                default = re.search(r"Default: (\S+)\.$", entry.strip().split("\n.")[0])
                found[head.group(1)] = (head.group(2), default and default.group(1))
        self.assertEqual(found, self.options)

    def test_the_readme_names_no_other(self):
        for name in re.findall(r"^\| `--([a-z-]+)", read("README.md"), re.M):
            self.assertIn(name, self.options)


class CheckConfig(unittest.TestCase):
    def test_a_good_configuration(self):
        status, stdout, stderr = run_once("--check-config", "--model", TINY_MODEL)
        self.assertEqual((status, stdout, stderr), (0, "the configuration is good\n", ""))

    def test_each_fault_is_named(self):
        with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
            for flags, culprit in (
                    (["--model", "/nowhere.gguf"], "/nowhere.gguf"),
                    (["--model", TINY_MODEL, "--host", "0.0.0.0"], "--api-key-file"),
                    (["--model", TINY_MODEL, "--api-key-file", keys.name], "no key"),
                    (["--model", TINY_MODEL, "--listen", "tcp:1"], "--listen"),
                    (["--model", TINY_MODEL, "--listen-mode", "rw"], "--listen-mode"),
                    (["--model", TINY_MODEL, "--allowed-host", "a," * 65], "--allowed-host"),
                    (["--model", TINY_MODEL, "--port", "x"], "--port")):
                status, stdout, stderr = run_once("--check-config", *flags)
                self.assertGreater(status, 0, flags)
                self.assertEqual(stdout, "")
                self.assertIn(culprit, stderr)
                self.assertEqual(len(stderr.strip().splitlines()), 1, stderr)


if __name__ == "__main__":
    client.main()
