#!/usr/bin/env python3
"""Writes the seeds of fuzz_gguf.c: small files that reach every branch of the parser.

    python3 tests/fuzz/make_gguf_corpus.py tests/fuzz/corpus/gguf
"""
import os
import struct
import sys


def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


def entry(key, kind, payload):
    return text(key) + struct.pack("<I", kind) + payload


def array(key, kind, n, payload):
    return entry(key, 9, struct.pack("<IQ", kind, n) + payload)


def tensor(name, dims, kind, offset):
    return (text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims)
            + struct.pack("<IQ", kind, offset))


def model(version, entries, tensors, data, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    head += b"".join(entries) + b"".join(tensors)
    return head + b"\0" * (-len(head) % alignment) + data


SCALARS = [
    entry("u8", 0, b"\1"), entry("i8", 1, b"\xff"), entry("u16", 2, b"\1\0"),
    entry("i16", 3, b"\1\0"), entry("llama.block_count", 4, struct.pack("<I", 2)),
    entry("i32", 5, struct.pack("<i", -1)), entry("f32", 6, struct.pack("<f", 1.5)),
    entry("bool", 7, b"\1"), entry("general.architecture", 8, text("llama")),
    entry("u64", 10, struct.pack("<Q", 7)), entry("i64", 11, struct.pack("<q", -7)),
    entry("f64", 12, struct.pack("<d", 2.5)),
]
ARRAYS = [
    array("tokenizer.ggml.tokens", 8, 3, text("<unk>") + text("") + text("hello")),
    array("tokenizer.ggml.scores", 6, 3, struct.pack("<3f", 0, -1, -2)),
    array("bytes", 0, 4, b"abcd"), array("empty", 8, 0, b""),
]
SEEDS = {
    "empty_v2": model(2, [], [], b""),
    "scalars": model(3, SCALARS, [], b""),
    "arrays": model(3, ARRAYS, [], b""),
    "f32": model(3, SCALARS[8:9], [tensor("t", [8, 2], 0, 0)], b"\0" * 64),
    "quantized": model(3, [], [tensor("a", [32], 8, 0), tensor("b", [256, 1, 1, 1], 12, 64)],
                       b"\0" * (64 + 144)),
    "alignment_64": model(3, [entry("general.alignment", 4, struct.pack("<I", 64))],
                          [tensor("a", [4], 0, 0), tensor("b", [4], 1, 64)], b"\0" * 72, 64),
    "nested_array": model(3, [array("x", 9, 1, struct.pack("<IQ", 4, 0))], [], b""),
    "huge_counts": b"GGUF" + struct.pack("<IQQ", 3, 2**64 - 1, 2**63),
    "truncated": model(3, [], [tensor("t", [1024], 0, 0)], b"\0" * 64),
}

if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, data in SEEDS.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(data)
