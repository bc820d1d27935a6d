/* auth.h - API keys: who may ask, and whose conversations are whose.
 *
 * Only digests of keys are kept, and compared in constant time. Owner: the daemon. Thread: loop. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include <stdbool.h>

struct auth;
struct err;

/* Reads the key file: a line is "KEY" or "NAME: KEY"; blank lines and lines that begin with # do
 * not count. Keys of the same name belong to the same owner, so that one can replace another. A
 * NULL path means that no key is asked for. */
bool auth_open(struct auth **out, const char *path, struct err *err);
void auth_close(struct auth **auth);

/* Reads the file again. Owners keep their numbers; one that is not in the file any more finds no
 * entry. On false the old keys hold. */
bool auth_reload(struct auth *auth, struct err *err);

bool auth_is_required(const struct auth *auth);
int auth_n_keys(const struct auth *auth);

/* The number of the owner whose key the headers present ("Bearer KEY", X-Api-Key; NULL when
 * absent), or -1 when it is not known. Without required keys everybody is 0. */
int auth_find_owner(const struct auth *auth, const char *authorization, const char *api_key);

/* What the key file calls an owner, for the log; NULL when it has no name. */
const char *auth_owner_name(const struct auth *auth, int owner);

/* What stands for an owner on disk: it outlives the order of the keys in the file, and cannot be
 * turned back into the key. */
struct auth_digest {
    char hex[65]; /* SHA-256 of the name, or of the key that has none; "anyone" without keys */
};
void auth_read_digest(const struct auth *auth, int owner, struct auth_digest *out);
/* The owner of such a text; -1 when that key is not there any more. */
int auth_find_digest(const struct auth *auth, const char *hex);

#endif
