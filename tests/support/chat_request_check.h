/* chat_request_check.h - the request and the error that tests of parsing look at. */
#ifndef TESTS_SUPPORT_CHAT_REQUEST_CHECK_H
#define TESTS_SUPPORT_CHAT_REQUEST_CHECK_H

#include <stdbool.h>

#include "server/api_error.h"
#include "server/chat_request.h"

extern const struct generation_defaults parse_defaults;

/* Of the last parse; a request that was read is to be given up with chat_request_done. */
extern struct chat_request parsed;
extern struct api_error refusal;

bool parse_chat(const char *body);
/* A body with one user message and more fields. */
bool parse_chat_with(const char *fields);

/* The error is a 400 with this code, about this parameter. */
void assert_refused(bool is_good, const char *code, const char *param);

#endif
