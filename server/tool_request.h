/* tool_request.h - "tools" and "tool_choice" of a request. Pure; fuzzed through chat_request.
 * Thread: any. */
#ifndef SERVER_TOOL_REQUEST_H
#define SERVER_TOOL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct api_error;

enum { TOOL_REQUEST_MAX_TOOLS = 128, TOOL_REQUEST_MAX_NAME = 64 };

enum tool_choice {
    TOOL_CHOICE_AUTO,
    TOOL_CHOICE_REQUIRED, /* at least one call */
    TOOL_CHOICE_NAMED,    /* one call, of the only name that is left */
};

/* Zeroed: no tools, or none that may be called. */
struct tool_request {
    char *json; /* owned: compact text of the array of {"type":"function","function":{...}} */
    size_t json_len;
    char (*names)[TOOL_REQUEST_MAX_NAME + 1]; /* owned: [n] those that tool_choice leaves */
    size_t n;
    enum tool_choice choice;
    bool is_single;  /* at most one call: parallel_tool_calls is false */
    bool has_strict; /* one of the names' functions says "strict" */
};

/* Of a chat completion's body. On failure *out is empty. */
bool tool_request_read(const json_t *body, struct tool_request *out, struct api_error *error);
void tool_request_done(struct tool_request *request);
/* *out becomes a copy; false when there is no memory (*out is then empty). */
bool tool_request_copy(const struct tool_request *request, struct tool_request *out);

bool tool_request_has(const struct tool_request *request, const char *name, size_t len);

#endif
