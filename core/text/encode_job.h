/* encode_job.h - what one call of tokenizer_encode carries through either tokenizer.
 *
 * Inside of tokenizer. Owner: the call. Thread: the caller's. */
#ifndef CORE_TEXT_ENCODE_JOB_H
#define CORE_TEXT_ENCODE_JOB_H

#include "core/text/merger.h"

struct err;
struct token_list;

struct encode_job {
    struct merger merger; /* scratch, used again for each word */
    struct token_list *out;
    struct err *err;
};

#endif
