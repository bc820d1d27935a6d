/* session_mode.h - what of a long text a token attends to: the four modes of the paper; and how far
 * a session may guess ahead.
 *
 * Streaming is what sinkd is for; the others are what it is compared with (arXiv 2309.17453, figure
 * 1), offered to whoever wants to see the difference. Thread: any (constants). */
#ifndef CORE_SESSION_SESSION_MODE_H
#define CORE_SESSION_SESSION_MODE_H

#include <stdbool.h>

enum session_mode {
    SESSION_MODE_STREAMING, /* the first S tokens and the most recent N - S */
    SESSION_MODE_WINDOW,    /* the most recent N: falls apart when the first ones leave */
    SESSION_MODE_RECOMPUTE, /* the most recent N, read anew for each token: good and slow */
    SESSION_MODE_DENSE,     /* everything, N tokens at most: a conversation ends when it is full */
};

/* "streaming", "window", "recompute", "dense"; false for another name. */
bool session_mode_parse(const char *name, enum session_mode *out);
const char *session_mode_name(enum session_mode mode);

enum { SESSION_MAX_DRAFTS = 63 }; /* guessed tokens in a step, at most */

#endif
