"""A tiny model of random weights whose vocabulary has the marks of some family."""
import os
import subprocess
import sys

import client

sys.path.insert(0, os.path.join(client.ROOT, "tests/bench"))
import random_model as rm  # noqa: E402

CONTROL, USER_DEFINED = 3, 4


def write_vocabulary(path, marks, end, kind, template):
    names = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)] + marks
    kinds = [2, 3, 3] + [6] * 256 + [kind] * len(marks)
    words = ["\u2581w%d" % i for i in range(700)]
    with open(os.path.join(client.E2E, template), encoding="utf-8") as file:
        text = file.read()
    keys = [
        rm.entry("tokenizer.ggml.model", rm.STRING, "llama"),
        rm.entry("tokenizer.ggml.tokens", rm.ARRAY, (rm.STRING, names + words)),
        rm.entry("tokenizer.ggml.scores", rm.ARRAY,
                 (rm.F32_VALUE, [0.0] * len(names) + [-float(i) for i in range(len(words))])),
        rm.entry("tokenizer.ggml.token_type", rm.ARRAY, (rm.I32, kinds + [1] * len(words))),
        rm.entry("tokenizer.ggml.bos_token_id", rm.U32, 1),
        rm.entry("tokenizer.ggml.eos_token_id", rm.U32, names.index(end)),
        rm.entry("tokenizer.chat_template", rm.STRING, text),
    ]
    with open(path, "wb") as out:
        out.write(rm.struct.pack("<4sIQQ", b"GGUF", 3, 0, len(keys)) + b"".join(keys))


def make(folder, marks, end, template, kind=CONTROL):
    """The path of the model; `end` is the mark that ends a turn."""
    vocabulary, model = (os.path.join(folder, name) for name in ("vocabulary.gguf", "model.gguf"))
    write_vocabulary(vocabulary, marks, end, kind, template)
    subprocess.run([sys.executable, rm.__file__, "tiny-gpt-oss", "MXFP4", model, vocabulary], check=True)
    return model
