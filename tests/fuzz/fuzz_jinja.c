/* Templates as a model file could bring them, with messages as a client could send them.
 *
 * Input: the template, a NUL byte, and then what the user says, a NUL, and JSON texts of tools and
 * variables, NULs between them. Whatever is rendered, no byte of the user's is in a control span
 * that the template alone did not write: the user's text is made of a letter that the template
 * may not hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"

/* A letter outside of ASCII with one case only: no filter makes it out of others. */
static const char LETTER[] = "\xE6\x97\xA5";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct parts {
    const char *text[4];
    size_t len[4];
};

static void split(const char *data, size_t size, struct parts *parts)
{
    for (int i = 0; i < 4; i++) {
        const char *end = size == 0 ? NULL : memchr(data, '\0', size);
        size_t len = end == NULL || i == 3 ? size : (size_t)(end - data);
        parts->text[i] = data;
        parts->len[i] = len;
        data += len < size ? len + 1 : len;
        size -= len < size ? len + 1 : len;
    }
}

/* The template's own text may hold the letter when it is spelled in it, or as an escape. */
static bool may_hold(const char *text, size_t len)
{
    return memmem(text, len, LETTER, 3) != NULL || memchr(text, '\\', len) != NULL;
}

static void check_marks(const struct prompt *prompt)
{
    size_t begin = 0;
    for (size_t i = 0; i < prompt->n_spans; i++) {
        size_t end = prompt->spans[i].end;
        if (end <= begin || end > prompt->text.len)
            abort();
        if (prompt->spans[i].is_control &&
            memmem(prompt->text.data + begin, end - begin, LETTER, 3) != NULL)
            abort();
        begin = end;
    }
    if (begin != prompt->text.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts parts;
    struct chat_template *template = NULL;
    struct err err = {0};
    char said[256];
    split((const char *)data, size, &parts);
    const struct chat_template_source source = {.jinja = parts.text[0],
                                                .jinja_len = parts.len[0],
                                                .bos = "<s>",
                                                .bos_len = 3,
                                                .eos = "</s>",
                                                .eos_len = 4};
    if (!chat_template_open(&template, &source, &err))
        return 0;
    size_t n = parts.len[1] < sizeof said - 3 ? parts.len[1] : sizeof said - 3;
    for (size_t i = 0; i < n + 3; i++)
        said[i] = i < 3 ? LETTER[i] : parts.text[1][i - 3];
    const struct chat_message messages[] = {
        {.role = CHAT_SYSTEM, .content = LETTER, .len = 3},
        {.role = CHAT_USER, .content = said, .len = n + 3},
        {.role = CHAT_ASSISTANT, .content = said, .len = n + 3},
        {.role = CHAT_TOOL, .content = LETTER, .len = 3},
        {.role = CHAT_ASSISTANT, .content = said, .len = n + 3},
    };
    struct prompt prompt;
    for (size_t k = 1; k <= 5; k++) {
        const struct chat_render_options options = {.add_generation_prompt = true,
                                                    .tools = parts.text[2],
                                                    .tools_len = parts.len[2],
                                                    .kwargs = parts.text[3],
                                                    .kwargs_len = parts.len[3]};
        prompt_init(&prompt);
        if (chat_template_render(template, messages, k, &options, &prompt, &err) &&
            !may_hold(parts.text[0], parts.len[0]))
            check_marks(&prompt);
        prompt_done(&prompt);
    }
    chat_template_close(&template);
    return 0;
}
