/* answer_style.h - how the loaded model writes its thoughts and its calls of tools.
 *
 * Owner: the daemon. Thread: any (immutable once it is set). */
#ifndef SERVER_ANSWER_STYLE_H
#define SERVER_ANSWER_STYLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/detokenizer.h"
#include "core/text/stop_search.h"

struct err;
struct tokenizer;
struct tool_format;

struct answer_style {
    const char *think_open, *think_close; /* the marks around thoughts; NULL when it has none */
    const struct tool_format *format;
    /* Control tokens that are marks, and so must be read: the first n_think are those of thoughts,
     * the others matter when there are tools. */
    int32_t shown[DETOKENIZER_MAX_SHOWN];
    int n_think, n_shown;
};

/* `jinja` is the text of the model's template (len 0 for none); `tool_format` a name or "auto". */
bool answer_style_init(struct answer_style *style, const char *jinja, size_t len,
                       const struct tokenizer *tokenizer, const char *tool_format,
                       bool splits_thoughts, struct err *err);

/* True when a prompt that ends so has begun a thought already. */
bool answer_style_is_thinking(const struct answer_style *style, const char *prompt, size_t len);

/* Where in an answer stop strings count as nothing, because the client does not see it as content:
 * in thoughts, one of which the prompt may have begun (`is_thinking`), and where `has_calls` in
 * calls of tools. Returns how many. */
int answer_style_shelters(const struct answer_style *style, bool is_thinking, bool has_calls,
                          struct stop_shelter out[STOP_SEARCH_MAX_SHELTERS]);

#endif
