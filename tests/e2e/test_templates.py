#!/usr/bin/env python3
"""What the unit tests expect of chat templates is what the reference in JavaScript makes of them, at
its exact version: its outputs are made anew."""
import os
import shutil
import subprocess
import tempfile
import unittest

import client

FIXTURES = os.path.join(client.ROOT, "tests/fixtures/jinja")


class Templates(unittest.TestCase):
    def test_the_expected_outputs_are_the_references(self):
        client.install_packages()
        with tempfile.TemporaryDirectory(dir=client.E2E, prefix="jinja-") as folder:
            shutil.copytree(FIXTURES, folder, dirs_exist_ok=True)
            subprocess.run(["node", "make.mjs"], cwd=folder, check=True)
            for name in "chats.json", "language.json":
                with open(os.path.join(folder, name)) as made, \
                     open(os.path.join(FIXTURES, name)) as kept:
                    self.assertEqual(made.read(), kept.read(), name)


if __name__ == "__main__":
    client.main()
