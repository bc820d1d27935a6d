/* fuzz_tool_python.c - libFuzzer target: any text as a call in Python's form, and in Gemma's. What
 * becomes of it is one JSON object, or the beginning of one, however it ends. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/text/utf8.h"
#include "server/json_load.h"
#include "server/tool_python.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void run(const uint8_t *bytes, size_t n_bytes, const char *mark)
{
    struct tool_python python;
    struct buf out;
    enum tool_python_result is = TOOL_PYTHON_MORE;
    buf_init(&out);
    tool_python_init(&python, mark);
    for (size_t i = 0; i < n_bytes && is == TOOL_PYTHON_MORE; i++)
        is = tool_python_push(&python, (char)bytes[i], &out);
    if (is != TOOL_PYTHON_END)
        tool_python_close(&python, &out);
    json_error_t error;
    json_t *object = json_load_text(buf_text(&out), out.len, JSON_ALLOW_NUL, &error);
    bool is_beyond_jansson =
        object == NULL && json_error_code(&error) == json_error_null_byte_in_key;
    if (!json_is_object(object) && !is_beyond_jansson)
        abort();
    json_decref(object);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes > 0 && !utf8_is_valid((const char *)bytes, n_bytes))
        return 0; /* a detokenizer says nothing else */
    run(bytes, n_bytes, NULL);
    run(bytes, n_bytes, "<|\"|>");
    return 0;
}
