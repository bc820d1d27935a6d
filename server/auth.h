/* auth.h - API keys: who may ask, and whose conversations are whose.
 *
 * Keys are compared in constant time. Owner: the daemon. Thread: loop. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include <stdbool.h>

struct auth;
struct err;

/* Reads one key per line; blank lines and lines that begin with # do not count. A NULL path means
 * that no key is asked for. */
bool auth_open(struct auth **out, const char *path, struct err *err);
void auth_close(struct auth **auth);

bool auth_is_required(const struct auth *auth);

/* The number of the key that the headers present ("Bearer KEY", X-Api-Key; NULL when absent), or -1
 * when it is not known. Without required keys everybody is 0. */
int auth_find_owner(const struct auth *auth, const char *authorization, const char *api_key);

/* What stands for a key on disk: it outlives the order of the keys in the file, and cannot be
 * turned back into the key. */
struct auth_digest {
    char hex[65]; /* SHA-256; "anyone" without keys */
};
void auth_read_digest(const struct auth *auth, int owner, struct auth_digest *out);

#endif
