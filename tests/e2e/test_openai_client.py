#!/usr/bin/env python3
"""The official openai client for Node streams a chat, unchanged."""
import json
import os
import subprocess
import unittest

import client

HERE = os.path.dirname(os.path.abspath(__file__))

class OpenAiClient(unittest.TestCase):
    def test_the_client_understands_all_that_it_is_sent(self):
        client.install_packages()
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
