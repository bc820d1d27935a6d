#!/usr/bin/env python3
"""Responses and conversations through real clients from npm, unchanged."""
import unittest

import client


class StatefulClients(unittest.TestCase):
    def run_cases(self, script, *args):
        client.install_packages()
        with client.Daemon() as daemon:
            client.run_cases(self, f"clients/{script}", *args,
                             f"http://127.0.0.1:{daemon.port}/")

    def test_openai_6(self):
        self.run_cases("openai_stateful.mjs", "openai-6")

    def test_openai_7(self):
        self.run_cases("openai_stateful.mjs", "openai")

    def test_others(self):
        client.need_node(self, 20)
        self.run_cases("others_stateful.mjs")


if __name__ == "__main__":
    client.main()
