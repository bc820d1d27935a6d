#include "server/template_choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "server/options.h"
#include "server/tool_format.h"

enum { MAX_FILE_BYTES = 4 * 1024 * 1024 };

static bool read_file(const char *path, struct buf *out, struct err *err)
{
    char bytes[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "cannot open %.150s: %s", path, strerror(errno));
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0 && out->len <= MAX_FILE_BYTES)
        buf_append(out, bytes, n);
    bool is_bad = ferror(file) != 0;
    fclose(file);
    if (is_bad)
        return err_set(err, ERR_IO, "cannot read %.150s", path);
    return !out->failed || err_no_memory(err, "a chat template");
}

static void name_specials(const struct tokenizer *tokenizer, struct chat_template_source *source)
{
    if (tokenizer_bos(tokenizer) >= 0)
        source->bos = tokenizer_name(tokenizer, tokenizer_bos(tokenizer), &source->bos_len);
    if (tokenizer_eos(tokenizer) >= 0)
        source->eos = tokenizer_name(tokenizer, tokenizer_eos(tokenizer), &source->eos_len);
}

static void name_calls(const struct options *options, struct chat_template_source *source)
{
    const struct tool_format *format = strcmp(options->tool_format, "auto") == 0
                                           ? tool_format_detect(source->jinja, source->jinja_len)
                                           : tool_format_find(options->tool_format);
    if (format != NULL)
        source->calls = tool_format_call_form(format);
}

static bool open_file(struct chat_template **out, const struct options *options,
                      struct chat_template_source *source, struct err *err)
{
    struct buf text;
    buf_init(&text);
    bool is_open = read_file(options->chat_template_file, &text, err);
    if (is_open) {
        source->jinja = buf_text(&text);
        source->jinja_len = text.len;
        name_calls(options, source);
        is_open = chat_template_open_strict(out, source, err);
    }
    buf_done(&text);
    return is_open || err_prefix(err, "--chat-template-file");
}

bool template_choice_open(struct chat_template **out, const struct options *options,
                          const struct engine *engine, struct err *err)
{
    const struct engine_info *info = engine_info(engine);
    struct chat_template_source source = {
        .jinja = info->chat_template,
        .jinja_len = info->chat_template_len,
        .tool_jinja = info->tool_chat_template,
        .tool_jinja_len = info->tool_chat_template_len,
    };
    name_specials(engine_tokenizer(engine), &source);
    if (options->chat_template_file[0] != '\0') {
        source.tool_jinja_len = 0;
        return open_file(out, options, &source, err);
    }
    if (strcmp(options->chat_template, "auto") != 0)
        return chat_template_open_named(out, options->chat_template, err) ||
               err_prefix(err, "--chat-template");
    name_calls(options, &source);
    if (!chat_template_open(out, &source, err))
        return false;
    if (chat_template_warning(*out) != NULL)
        log_warning("%s; using %s, choose another with --chat-template or --chat-template-file",
                    chat_template_warning(*out), chat_template_name(*out));
    return true;
}
