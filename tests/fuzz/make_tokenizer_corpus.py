#!/usr/bin/env python3
"""Writes the seeds of fuzz_tokenizer.c: small vocabularies of each kind, each with a text.

    python3 tests/fuzz/make_tokenizer_corpus.py tests/fuzz/corpus/tokenizer
"""
import os
import struct
import sys

U32, I32, F32, BOOL, TEXT, ARRAY = 4, 5, 6, 7, 8, 9
SCRIPT = "Hello, world's 123 <s>ab</s> \u4f60\u597d \U0001f642\n\n  x\t\u00e9e\u0301 ABCdef <|im_end|>"


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def entry(key, kind, payload):
    return text("tokenizer.ggml." + key) + struct.pack("<I", kind) + payload


def array(key, kind, values):
    pack = {I32: lambda v: struct.pack("<i", v), F32: lambda v: struct.pack("<f", v), TEXT: text}[kind]
    return entry(key, ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(map(pack, values)))


def vocabulary(model, tokens, merges=(), pre=None, ids=()):
    entries = [entry("model", TEXT, text(model)),
               array("tokens", TEXT, [t[0] for t in tokens]),
               array("scores", F32, [t[1] for t in tokens]),
               array("token_type", I32, [t[2] for t in tokens])]
    if pre is not None:
        entries.append(entry("pre", TEXT, text(pre)))
    if model == "gpt2":
        entries.append(array("merges", TEXT, list(merges)))
    entries += [entry(key + "_token_id", U32, struct.pack("<I", value)) for key, value in ids]
    entries.append(entry("add_bos_token", BOOL, b"\1"))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries)


def spm():
    tokens = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    tokens += [("<0x%02X>" % b, 0, 6) for b in (0x0A, 0x41, 0xC3, 0xA9, 0xE2, 0xFF)]
    tokens += [(c, -10 - i, 1) for i, c in enumerate("\u2581abceHlowrd123,'x\u00e9\u4f60")]
    tokens += [("\u2581w", -1, 1), ("lo", -2, 1), ("lo\u2581", -3, 1), ("ab", -4, 4), ("<|im_end|>", 0, 4)]
    return tokens


def bpe():
    letters = "abcdefghilorstwxABCHD0123,'<>/|_\u0120\u010a\u00c3\u00a9\u00e4"
    words = ["\u0120w", "or", "\u0120wor", "ll", "He", "stop", "sto"]
    tokens = [(c, 0, 1) for c in letters] + [(w, 0, 1) for w in words]
    return tokens + [("<s>", 0, 3), ("  ", 0, 4), ("<|im_end|>", 0, 3)]


def main(folder):
    os.makedirs(folder, exist_ok=True)
    merges = ["\u0120 w", "o r", "\u0120w or", "l l", "H e", "s t", "st o", "sto p", "e ll", "x y"]
    seeds = {"spm": vocabulary("llama", spm(), ids=[("bos", 1), ("eos", 2), ("unknown", 0)])}
    for pre in ("gpt-2", "default", "falcon", "starcoder", "llama-bpe", "qwen2", "qwen35", "tekken",
                "gpt-4o", "deepseek-llm", "deepseek-coder", "deepseek-v3", "kimi-k2", "viking", "unheard-of"):
        seeds["bpe-" + pre] = vocabulary("gpt2", bpe(), merges, pre, [("bos", 43), ("eos", 45)])
    seeds["bert"] = vocabulary("bert", spm())
    for name, file in seeds.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(struct.pack("<I", len(file)) + file + SCRIPT.encode() * 2)


if __name__ == "__main__":
    main(sys.argv[1])
