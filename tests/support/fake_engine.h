/* fake_engine.h - engine.h played from a script, so that tests of server/ meet the engine only
 * through its door and decide what comes out of it.
 *
 * Sessions are real in one respect: a request must keep a position that its session has. */
#ifndef TESTS_SUPPORT_FAKE_ENGINE_H
#define TESTS_SUPPORT_FAKE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"

enum fake_ending {
    FAKE_ENDS,       /* says its pieces and stops */
    FAKE_NEVER_ENDS, /* repeats the last piece until it is cancelled */
    FAKE_FAILS,      /* says its pieces, then the final event is a failure */
    FAKE_REFUSES,    /* engine_submit returns false */
};

/* Holds for all requests submitted after fake_engine_play. */
struct fake_script {
    const char *pieces[8]; /* one text event each, up to the first NULL */
    enum fake_ending ending;
    int prefill_ms;      /* before the first piece */
    int step_ms;         /* before each further one */
    int linger_ms;       /* before the final event: after the last piece, or after a cancel */
    bool waits_for_park; /* before the last piece: until it has been parked once */
    const char *stop;    /* the stop string at which it ends; NULL: none */
    size_t n_unkept;     /* bytes at the end of the text that the session does not hold */
};

void fake_engine_play(const struct fake_script *script);

/* What the server did since the last fake_engine_play. */
struct fake_record {
    int n_submitted;
    int n_cancelled; /* requests that were running when they were cancelled */
    int n_forgotten;
    int n_running;    /* now */
    int n_parked;     /* of these */
    int most_running; /* at once */
    uint64_t session; /* of the last request ... */
    int64_t keep;
    int n_tokens;
    int max_tokens;
    struct sampler_settings sampling;
    char prompt[4096]; /* the text of its tokens */
};
struct fake_record fake_engine_record(void);

/* What the last engine was opened with; kv_folder is a copy. */
const struct engine_options *fake_engine_options(void);

/* From now on notes outlive the engine, as if in files: the next one finds those that it was not
 * told to forget, and with `damages` the first byte of each is another. */
void fake_engine_keep_notes(bool damages);
/* None outlives it, and those that were kept are freed. */
void fake_engine_drop_notes(void);

#endif
