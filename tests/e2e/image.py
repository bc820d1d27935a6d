#!/usr/bin/env python3
"""The Dockerfile, built and tried where no container engine runs: `make test-image`.

Outside of `make test`, because it needs root, buildah, debootstrap and the network, takes half an
hour on a small machine and 10 GB of disk. From outside: IMAGE_MIRROR, another mirror of Debian;
IMAGE_BASE, a folder with an unpacked bookworm instead; IMAGE_ARGS, more arguments of `buildah build`
(-v for settings of apt and npm); IMAGE_STORAGE, a folder in which layers stay for the next time.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import client
from client import ROOT, TINY_MODEL, chat_body

BASE = "docker.io/library/debian:bookworm-slim"

# As an engine would: the root read-only, a user without any capability, the image's environment.
# What client.Daemon wants to run, and its model, make room for what the image runs by itself.
CONTAINER = """
folder=$1 model=$2; shift 5
mount --rbind "$folder" "$folder"
[ -z "$model" ] || mount --bind "$model" "$folder/model.gguf"
mount --rbind /dev "$folder/dev"
mount -t proc proc "$folder/proc"
mount -o remount,bind,ro "$folder"
exec chroot "$folder" setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all env -i $IMAGE_ENV "$@"
"""


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace",
                          env={**os.environ, "STORAGE_DRIVER": "vfs"})
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for program in ("buildah", "debootstrap", "setpriv"):
            if os.geteuid() != 0 or not shutil.which(program):
                raise unittest.SkipTest(f"this needs root and {program}")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.storage = os.environ.get("IMAGE_STORAGE", os.path.join(cls.folder, "storage"))
        cls.context = os.path.join(cls.folder, "context")
        shutil.copytree(ROOT, cls.context, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", "build", "node_modules"))
        cls.make_base()
        cls.build("sinkd-bare", "--target", "bare")
        cls.build("sinkd")

    @classmethod
    def buildah(cls, *arguments):
        return run("buildah", "--root", cls.storage, "--runroot", cls.folder + "/run", *arguments)

    @classmethod
    def make_base(cls):
        if BASE in cls.buildah("images", "--format", "{{.Name}}:{{.Tag}}"):
            return
        base = os.environ.get("IMAGE_BASE")
        if not base:
            base = os.path.join(cls.folder, "base")
            mirror = os.environ.get("IMAGE_MIRROR")
            run("debootstrap", "--variant=minbase", "bookworm", base, *filter(None, [mirror]))
        container = cls.buildah("from", "scratch").strip()
        cls.buildah("add", container, base, "/")
        cls.buildah("commit", "--rm", container, BASE)

    @classmethod
    def build(cls, name, *arguments):
        """Returns the log of the build."""
        return cls.buildah("build", "--isolation", "chroot", "--format", "docker", "--layers",
                           "--pull-never", *shlex.split(os.environ.get("IMAGE_ARGS", "")),
                           "--build-arg", "VERSION=1.2.3", *arguments, "-t", name, cls.context)

    def inspect(self, name):
        return json.loads(self.buildah("inspect", "--type", "image", name))

    def layers(self, name):
        return self.inspect(name)["OCIv1"]["rootfs"]["diff_ids"]

    def settings(self, name):
        return self.inspect(name)["Docker"]["config"]

    def mount(self, name):
        container = self.buildah("from", "--pull-never", name).strip()
        self.addCleanup(self.buildah, "rm", container)
        return self.buildah("mount", container).strip()

    def start(self, name, model=""):
        folder = self.mount(name)
        if model:
            open(os.path.join(folder, "model.gguf"), "a").close()
        wrapper = ["unshare", "--mount", "sh", "-euc", CONTAINER, "-", folder, model]
        entry = self.settings(name)["Entrypoint"]
        environment = {"IMAGE_ENV": " ".join(self.settings(name)["Env"] + entry)}
        return client.Daemon("--no-auth", wrapper=wrapper, env=environment), folder

    def try_out(self, name, model=""):
        daemon, folder = self.start(name, model)
        with daemon:
            with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            self.assertEqual(status["Uid"].split(), ["65532"] * 4)
            self.assertEqual(int(status["CapBnd"], 16), 0)
            with open(f"/proc/{daemon.process.pid}/mountinfo", encoding="utf-8") as file:
                roots = [line.split()[5] for line in file if line.split()[4] == "/"]
            self.assertTrue(roots[-1].startswith("ro"), roots)
            stream = daemon.open_stream("/v1/chat/completions", chat_body("Hi", max_tokens=24))
            self.assertGreater(len(stream.chunks()), 2)

            def check():
                return subprocess.run(
                    ["unshare", "--mount", "sh", "-euc", CONTAINER, "-", folder, model, "", "", "",
                     "--healthcheck"], env={**os.environ, "IMAGE_ENV": environment}).returncode

            environment = " ".join(self.settings(name)["Env"] + [f"SINKD_PORT={daemon.port}", "sinkd"])
            self.assertEqual(check(), 0)
        self.assertEqual(check(), 1)

    def test_a_model_is_inside(self):
        self.try_out("sinkd")

    def test_a_model_is_mounted_over(self):
        self.try_out("sinkd", TINY_MODEL)

    def test_a_model_is_mounted_into_the_bare_one(self):
        self.try_out("sinkd-bare", TINY_MODEL)
        self.assertFalse(os.path.exists(os.path.join(self.mount("sinkd-bare"), "model.gguf")))

    def test_the_labels(self):
        for name in ("sinkd", "sinkd-bare"):
            labels = self.settings(name)["Labels"]
            self.assertEqual(labels["org.opencontainers.image.version"], "1.2.3")
            self.assertEqual(labels["org.opencontainers.image.title"], "sinkd")
            self.assertEqual("sinkd.model.title" in labels, name == "sinkd")

    def test_a_new_daemon_keeps_the_model(self):
        before = self.layers("sinkd")
        path = os.path.join(self.context, "Dockerfile")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            # Compiling it again would take minutes, to no other end.
            file.write(re.sub("RUN .*make build/sinkd.*", "RUN mkdir build; echo >build/sinkd", text))
        log = self.build("sinkd-changed")
        self.assertNotIn("fetch-model: fetching", log)
        changed = [old != new for old, new in zip(before, self.layers("sinkd-changed"))]
        # The daemon's layer alone: it is the last one.
        self.assertEqual(changed, [False] * (len(changed) - 1) + [True])

    def test_the_size(self):
        for name in ("sinkd-bare", "sinkd"):
            size = run("du", "-sb", self.mount(name)).split()[0]
            print(f"{name}: {int(size) / 1e6:.0f} MB")


if __name__ == "__main__":
    client.main()
