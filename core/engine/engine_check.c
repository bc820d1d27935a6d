/* engine_check.c - a model file is read once in a child process that can do nothing (sandbox.h):
 * its metadata, shape, vocabulary and chat template, which is all of it that is parsed. Only when
 * that went well does the daemon read it itself. */
#include "core/base/sandbox.h"
#include "core/engine/engine.h"
#include "core/gguf/gguf.h"
#include "core/model/model.h"
#include "core/text/chat_template.h"

enum { MAX_BYTES = 2000000000, MAX_SECONDS = 60 };

static void take_text(const struct gguf *file, const char *key, const char **out, size_t *out_len)
{
    struct gguf_text text;
    if (gguf_get_text(file, key, &text)) {
        *out = text.data;
        *out_len = text.len;
    }
}

static bool try_template(const struct gguf *file, struct err *err)
{
    struct chat_template_source source = {0};
    struct chat_template *template = NULL;
    take_text(file, "tokenizer.chat_template", &source.jinja, &source.jinja_len);
    take_text(file, "tokenizer.chat_template.tool_use", &source.tool_jinja, &source.tool_jinja_len);
    bool is_good = chat_template_open(&template, &source, err);
    chat_template_close(&template);
    return is_good;
}

/* In the child, whose end frees all. */
static bool read_all(void *arg, struct err *err)
{
    const struct gguf_bytes *bytes = arg;
    struct gguf *file = NULL;
    struct model *model = NULL;
    struct tokenizer *tokenizer = NULL;
    return gguf_open_memory(&file, bytes->data, bytes->n, err) && model_open(&model, file, err) &&
           tokenizer_open(&tokenizer, file, err) && try_template(file, err);
}

bool engine_check(const char *model_path, bool *out_is_confined, struct err *err)
{
    struct gguf_bytes bytes = {0};
    enum sandbox_confinement confinement;
    if (!gguf_map(&bytes, model_path, err))
        return false;
    bool is_good = sandbox_run(read_all, &bytes, MAX_BYTES, MAX_SECONDS, &confinement, err);
    gguf_unmap(&bytes);
    *out_is_confined = confinement == SANDBOX_CONFINED;
    return is_good || err_prefix(err, "model file %s", model_path);
}
