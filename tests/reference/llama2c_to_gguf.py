#!/usr/bin/env python3
"""A llama2.c checkpoint (version 0) and its tokenizer.bin as one GGUF file.

    llama2c_to_gguf.py CHECKPOINT [TOKENIZER] OUT.gguf

Without TOKENIZER the checkpoint is followed by it in the same file, as Emscripten packs the two.
Matrices become Q8_0, norms stay F32. Needs numpy. Such models are small and real: good for runs of
millions of tokens; TinyStories models are trained on 256 tokens at once."""
import struct
import sys

import numpy as np

F32, Q8_0 = 0, 8
U32, FLOAT, STRING, ARRAY, INT = 4, 6, 8, 9, 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def floats(self, *shape):
        n = int(np.prod(shape))
        values = np.frombuffer(self.data, "<f4", n, self.at)
        self.at += 4 * n
        return values.reshape(shape)


def read_checkpoint(reader):
    dim, hidden, layers, heads, kv_heads, vocab, context = reader.take("7i")
    head = dim // heads
    kv_dim = kv_heads * head
    shared, vocab = vocab > 0, abs(vocab)
    shape = dict(dim=dim, hidden=hidden, layers=layers, heads=heads, kv_heads=kv_heads,
                 vocab=vocab, context=context)
    tensors = {"token_embd.weight": reader.floats(vocab, dim)}

    def per_layer(name, *shape_of_one):
        for i, one in enumerate(reader.floats(layers, *shape_of_one)):
            tensors[f"blk.{i}.{name}.weight"] = one

    per_layer("attn_norm", dim)
    per_layer("attn_q", dim, dim)
    per_layer("attn_k", kv_dim, dim)
    per_layer("attn_v", kv_dim, dim)
    per_layer("attn_output", dim, dim)
    per_layer("ffn_norm", dim)
    per_layer("ffn_gate", hidden, dim)
    per_layer("ffn_down", dim, hidden)
    per_layer("ffn_up", hidden, dim)
    tensors["output_norm.weight"] = reader.floats(dim)
    reader.floats(2, context, head // 2)  # the rotations, which follow from the positions
    if not shared:
        tensors["output.weight"] = reader.floats(vocab, dim)
    return shape, tensors


def read_tokenizer(reader, n):
    reader.take("i")  # length of the longest
    names, scores, kinds = [], [], []
    for i in range(n):
        score, length = reader.take("fi")
        piece = reader.data[reader.at:reader.at + length].decode("utf-8")
        reader.at += length
        # What the first ones are called differs between versions of the format; what they are
        # does not.
        if i < 3:
            piece, kind = ("<unk>", "<s>", "</s>")[i], (UNKNOWN, CONTROL, CONTROL)[i]
        elif i < 259:
            piece, kind = f"<0x{i - 3:02X}>", BYTE
        else:
            piece, kind = piece.replace(" ", "\u2581"), NORMAL
        names.append(piece)
        scores.append(score)
        kinds.append(kind)
    return names, scores, kinds


def q8_0(values):
    """Blocks of 32: a half float scale, then 32 int8."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    rounded = np.round(blocks / np.where(scale == 0, 1, scale)).astype("i1")
    return np.concatenate([scale.astype("<f2").view("i1"), rounded], axis=1).tobytes()


def text(value):
    data = value.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def array(kind, form, values):
    items = [text(v) if kind == STRING else struct.pack(form, v) for v in values]
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def entries_of(shape, tokenizer):
    names, scores, kinds = tokenizer
    u32 = {
        "llama.block_count": shape["layers"],
        "llama.context_length": shape["context"],
        "llama.embedding_length": shape["dim"],
        "llama.feed_forward_length": shape["hidden"],
        "llama.attention.head_count": shape["heads"],
        "llama.attention.head_count_kv": shape["kv_heads"],
        "llama.rope.dimension_count": shape["dim"] // shape["heads"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    entries = [("general.architecture", STRING, text("llama")),
               ("llama.attention.layer_norm_rms_epsilon", FLOAT, struct.pack("<f", 1e-5)),
               ("tokenizer.ggml.model", STRING, text("llama")),
               ("tokenizer.ggml.tokens", ARRAY, array(STRING, None, names)),
               ("tokenizer.ggml.scores", ARRAY, array(FLOAT, "<f", scores)),
               ("tokenizer.ggml.token_type", ARRAY, array(INT, "<i", kinds))]
    return entries + [(key, U32, struct.pack("<I", value)) for key, value in u32.items()]


def write_gguf(path, entries, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in entries)
    data = b""
    for name, values in tensors.items():
        is_matrix = values.ndim == 2
        head += text(name) + struct.pack("<I", values.ndim)
        head += struct.pack(f"<{values.ndim}Q", *values.shape[::-1])
        head += struct.pack("<IQ", Q8_0 if is_matrix else F32, len(data))
        data += q8_0(values) if is_matrix else values.astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    with open(path, "wb") as out:
        out.write(head + bytes(-len(head) % 32) + data)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        reader = Reader(file.read())
    shape, tensors = read_checkpoint(reader)
    if len(sys.argv) == 4:
        with open(sys.argv[2], "rb") as file:
            reader = Reader(file.read())
    tokenizer = read_tokenizer(reader, shape["vocab"])
    write_gguf(sys.argv[-1], entries_of(shape, tokenizer), tensors)
    print(f"{sys.argv[-1]}: {shape}")


main()
