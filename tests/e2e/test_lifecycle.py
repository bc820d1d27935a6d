#!/usr/bin/env python3
"""Starting, refusing to start, and stopping."""
import os
import signal
import socket
import subprocess
import tempfile
import unittest

import client
from client import TINY_MODEL, chat_body, run_once, wait_until


def is_listening(daemon):
    try:
        socket.create_connection(("127.0.0.1", daemon.port), 1).close()
        return True
    except OSError:
        return False


class Start(unittest.TestCase):
    def assert_one_sentence(self, *flags, names):
        """sinkd must not start, and say why on one line that names the culprit."""
        status, _, stderr = run_once(*flags)
        self.assertNotEqual(status, 0)
        self.assertGreater(status, 0, "killed by a signal")
        self.assertEqual(len(stderr.splitlines()), 1, stderr)
        self.assertIn(names, stderr)

    def test_version_and_help(self):
        status, stdout, _ = run_once("--version")
        self.assertEqual(status, 0)
        self.assertRegex(stdout, r"^sinkd \d+\.\d+\.\d+")
        status, stdout, _ = run_once("--help")
        self.assertEqual(status, 0)
        for flag in ("--model", "--host", "--port", "--window", "--sinks", "--threads",
                     "--kv-type", "--api-key-file", "--config", "--version", "--help"):
            self.assertIn(flag, stdout)

    def test_a_missing_model_gets_a_sentence(self):
        self.assert_one_sentence("--port", "0", names="--model")
        self.assert_one_sentence("--model", "/nowhere/x.gguf", "--port", "0",
                                 names="/nowhere/x.gguf")

    def test_a_file_that_is_no_model_gets_a_sentence(self):
        self.assert_one_sentence("--model", "README.md", "--port", "0", names="README.md")
        self.assert_one_sentence("--model", "/dev/null", "--port", "0", names="/dev/null")
        self.assert_one_sentence("--model", "tests", "--port", "0", names="tests")

    def test_a_truncated_model_gets_a_sentence(self):
        with open(TINY_MODEL, "rb") as model, tempfile.NamedTemporaryFile(suffix=".gguf") as cut:
            cut.write(model.read()[:-1000])
            cut.flush()
            self.assert_one_sentence("--model", cut.name, "--port", "0", names=cut.name)

    def test_closed_standard_files_are_no_place_for_a_client(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "http.sock")
            process = subprocess.Popen(
                ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", client.SINKD, "--model", TINY_MODEL,
                 "--listen", f"unix:{path}", "--state-dir", os.path.join(folder, "state")])
            wait_until(lambda: os.path.exists(path) or process.poll() is not None, "it listens")
            for fd in range(3):
                self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{fd}"), "/dev/null")
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 200"))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(client.PATIENCE_S), 0)

    def test_wrong_flags_get_a_sentence(self):
        self.assert_one_sentence("--no-such-flag", names="--no-such-flag")
        self.assert_one_sentence("--port", "http", names="--port")
        self.assert_one_sentence("--port", "70000", names="--port")
        self.assert_one_sentence("--model", TINY_MODEL, "--window", "-3", names="window")
        self.assert_one_sentence("--model", TINY_MODEL, "--window", "64", "--sinks", "64",
                                 "--port", "0", names="sinks")
        self.assert_one_sentence("--model", TINY_MODEL, "--kv-type", "q1", names="q1")
        self.assert_one_sentence("--config", "/nowhere/sinkd.conf", names="/nowhere/sinkd.conf")

    def test_a_port_that_is_taken_gets_a_sentence(self):
        """And nothing else: a model that takes minutes to load is not loaded in vain."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assert_one_sentence("--model", TINY_MODEL, "--port", port, names=port)

    def test_each_kv_type_and_kernel_set_answers(self):
        for flags, env in ((("--kv-type", "f32"), {}), (("--kv-type", "f16"), {}),
                           (("--kv-type", "bf16"), {}), (("--kv-type", "q8"), {}),
                           ((), {"SINKD_KERNELS": "scalar"})):
            with client.Daemon(*flags, env=env) as daemon:
                self.assertEqual(daemon.chat("Hello").status, 200, flags)


class ModelFile(unittest.TestCase):
    """What happens to the file while it is served happens to nobody else."""

    def test_it_may_be_ruined_once_it_is_loaded(self):
        golden = os.path.join(client.ROOT, "tests/fixtures/golden")
        for name in ("llama-gqa-tied", "qwen2-bias"):
            for kernels in ("", "scalar"):
                with self.subTest(name, kernels=kernels), \
                        tempfile.NamedTemporaryFile(suffix=".gguf") as copy:
                    with open(f"{golden}/{name}/model.gguf", "rb") as model:
                        copy.write(model.read())
                    copy.flush()
                    env = {"SINKD_KERNELS": kernels} if kernels else {}
                    with client.Daemon(model=copy.name, env=env) as daemon:
                        def answer():
                            reply = daemon.chat("Hello", max_tokens=16).json
                            return reply["choices"][0]["message"]["content"]

                        before = answer()
                        copy.seek(0)
                        copy.write(bytes(os.path.getsize(copy.name)))
                        copy.flush()
                        self.assertEqual(answer(), before)
                        copy.truncate(0)
                        self.assertEqual(answer(), before)

    def test_a_file_that_is_cut_short_while_it_is_read_gets_a_sentence(self):
        daemon = client.Daemon()
        daemon.process.send_signal(signal.SIGBUS)  # as the kernel does then
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("cut short", daemon.log[-1])


class Stop(unittest.TestCase):
    def test_sigterm_lets_a_short_answer_finish_and_exits_0(self):
        daemon = client.Daemon()
        stream = daemon.open_stream("/v1/chat/completions", chat_body("Hello", max_tokens=64))
        events = iter(stream)
        next(events)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(list(events)[-1], "[DONE]")
        self.assertEqual(daemon.wait(), 0)

    def test_sigterm_when_idle_exits_0(self):
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            daemon = client.Daemon()
            idle = daemon.connect()
            idle.request("GET", "/health")
            idle.getresponse().read()  # kept alive
            daemon.process.send_signal(signal_number)
            self.assertEqual(daemon.wait(), 0)
            idle.close()

    def test_a_second_signal_does_not_wait_for_a_long_answer(self):
        daemon = client.Daemon()
        stream = daemon.open_stream("/v1/chat/completions",
                                    chat_body("Never stop", max_tokens=1000000))
        events = iter(stream)
        next(events)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_listening(daemon), "the first signal was heard")
        daemon.process.send_signal(signal.SIGTERM)
        for _ in events:  # to its end, which must come
            pass
        self.assertEqual(daemon.wait(), 0)

    def test_systemd_hears_when_it_is_ready_and_when_it_stops(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.bind(path)
                notify.settimeout(client.PATIENCE_S)
                daemon = client.Daemon(env={"NOTIFY_SOCKET": path})
                messages = notify.recv(4096)
                self.assertIn(b"READY=1", messages)
                daemon.process.send_signal(signal.SIGTERM)
                while b"STOPPING=1" not in messages:
                    messages += notify.recv(4096)
                self.assertEqual(daemon.wait(), 0)


if __name__ == "__main__":
    client.main()
