#!/usr/bin/env python3
"""The official openai client for Node streams a chat, unchanged."""
import json
import os
import shutil
import subprocess
import unittest

import client

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALLED = os.path.join(HERE, "node_modules/openai/package.json")


def install():
    """Why the client cannot be had, or None."""
    if os.path.exists(INSTALLED):
        return None
    if not shutil.which("npm") or not shutil.which("node"):
        return "npm is not installed, so the openai client was not tried"
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries", "1"],
                          cwd=HERE, capture_output=True, text=True)
    return None if done.returncode == 0 else "npm could not fetch the openai client"


class OpenAiClient(unittest.TestCase):
    def test_the_client_understands_all_that_it_is_sent(self):
        reason = install()
        if reason:
            self.skipTest(reason)
        with client.Daemon() as daemon:
            base_url = f"http://127.0.0.1:{daemon.port}/v1"
            done = subprocess.run(["node", "openai_client.mjs", base_url], cwd=HERE,
                                  capture_output=True, text=True, timeout=client.PATIENCE_S)
            self.assertEqual(done.returncode, 0, done.stderr)
            seen = json.loads(done.stdout)
            self.assertEqual(len(seen["models"]), 1)
            self.assertTrue(seen["whole"])
            self.assertEqual("".join(seen["chunks"]), seen["whole"])
            self.assertGreater(len(seen["chunks"]), 3)
            self.assertEqual(seen["helper"], seen["whole"])
            self.assertEqual(seen["completion"], "text_completion")
            self.assertEqual(seen["error"], {"type": "BadRequestError", "status": 400,
                                             "param": "temperature"})
            self.assertTrue(seen["left_after"])


if __name__ == "__main__":
    client.main()
