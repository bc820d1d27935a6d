/* api_error.h - a refusal in the words of the API: status, type, code, param, message.
 *
 * All four keys of the body are always there, because clients read them without asking.
 * Thread: any (no shared state). */
#ifndef SERVER_API_ERROR_H
#define SERVER_API_ERROR_H

#include <stdbool.h>

struct buf;
struct err;

struct api_error {
    int status;        /* HTTP status; 0: no error */
    const char *code;  /* a constant that programs compare */
    char param[96];    /* the field at fault, "messages[2].role"; empty for null */
    char message[300]; /* one sentence for the person */
    int retry_after_s; /* Retry-After; 0 for none */
};

/* Fills *error and returns false, so that detection is one line. `param` may be NULL. */
bool api_error_set(struct api_error *error, int status, const char *code, const char *param,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for a failed allocation. */
bool api_error_no_memory(struct api_error *error);

/* The one table from err codes to HTTP statuses. */
void api_error_from(struct api_error *error, const struct err *err);

/* A refusal's body, in the form of one API. */
typedef void api_error_write_fn(const struct api_error *error, struct buf *out);

/* The body: {"error":{"message":...,"type":...,"param":...,"code":...}} */
void api_error_write(const struct api_error *error, struct buf *out);

#endif
