#include "server/auth.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "core/base/log.h"

enum { KEY_SIZE = 256, MIN_KEY_LEN = 8, MAX_KEYS = 10000 };

/* Padded with zeros to its full size, so that a comparison always touches the same bytes. */
struct key {
    char bytes[KEY_SIZE];
};

struct auth {
    bool is_required;
    struct key *keys;
    int n_keys;
    int max_keys;
};

static bool add_key(struct auth *auth, const char *text, size_t len, struct err *err)
{
    if (len < MIN_KEY_LEN || len >= KEY_SIZE)
        return err_set(err, ERR_INVALID, "a key must have %d to %d characters", (int)MIN_KEY_LEN,
                       KEY_SIZE - 1);
    if (auth->n_keys == MAX_KEYS)
        return err_set(err, ERR_LIMIT, "there may be at most %d keys", (int)MAX_KEYS);
    if (auth->n_keys == auth->max_keys) {
        int max = auth->max_keys == 0 ? 8 : auth->max_keys * 2;
        struct key *keys = reallocarray(auth->keys, (size_t)max, sizeof *keys);
        if (keys == NULL)
            return err_no_memory(err, "the keys");
        auth->keys = keys;
        auth->max_keys = max;
    }
    struct key *key = &auth->keys[auth->n_keys++];
    memset(key, 0, sizeof *key);
    memcpy(key->bytes, text, len);
    return true;
}

static bool read_keys(struct auth *auth, FILE *file, struct err *err)
{
    char line[2 * KEY_SIZE];
    for (int n = 1; fgets(line, sizeof line, file) != NULL; n++) {
        char *begin = line + strspn(line, " \t");
        size_t len = strcspn(begin, "\r\n");
        while (len > 0 && (begin[len - 1] == ' ' || begin[len - 1] == '\t'))
            len--;
        if (len > 0 && begin[0] != '#' && !add_key(auth, begin, len, err))
            return err_prefix(err, "line %d", n);
    }
    if (auth->n_keys == 0)
        return err_set(err, ERR_INVALID,
                       "it holds no key; put one on a line, at least %d characters",
                       (int)MIN_KEY_LEN);
    return true;
}

static bool read_file(struct auth *auth, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "%s", strerror(errno));
    struct stat st;
    if (fstat(fileno(file), &st) == 0 && (st.st_mode & S_IROTH) != 0)
        log_warning("the API key file %s can be read by everybody; chmod 600 it", path);
    bool is_good = read_keys(auth, file, err);
    fclose(file);
    return is_good;
}

bool auth_open(struct auth **out, const char *path, struct err *err)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL)
        return err_no_memory(err, "the keys");
    auth->is_required = path != NULL;
    if (path != NULL && !read_file(auth, path, err)) {
        auth_close(&auth);
        return err_prefix(err, "cannot use the API key file %s", path);
    }
    *out = auth;
    return true;
}

void auth_close(struct auth **auth)
{
    if (*auth != NULL) {
        if ((*auth)->keys != NULL)
            explicit_bzero((*auth)->keys, (size_t)(*auth)->max_keys * sizeof *(*auth)->keys);
        free((*auth)->keys);
        free(*auth);
    }
    *auth = NULL;
}

bool auth_is_required(const struct auth *auth)
{
    return auth->is_required;
}

static bool keys_equal(const struct key *a, const struct key *b)
{
    unsigned char differs = 0;
    for (int i = 0; i < KEY_SIZE; i++)
        differs |= (unsigned char)(a->bytes[i] ^ b->bytes[i]);
    return differs == 0;
}

int auth_find_owner(const struct auth *auth, const char *authorization, const char *api_key)
{
    if (!auth->is_required)
        return 0;
    const char *given = api_key;
    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0)
        given = authorization + 7 + strspn(authorization + 7, " ");
    if (given == NULL || strlen(given) >= KEY_SIZE)
        return -1;

    struct key key = {{0}};
    memcpy(key.bytes, given, strlen(given));
    int owner = -1;
    for (int i = 0; i < auth->n_keys; i++) { /* all of them: no early end to be timed */
        if (keys_equal(&auth->keys[i], &key))
            owner = i;
    }
    return owner;
}

void auth_read_digest(const struct auth *auth, int owner, struct auth_digest *out)
{
    if (!auth->is_required || owner < 0 || owner >= auth->n_keys) {
        snprintf(out->hex, sizeof out->hex, "anyone");
        return;
    }
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    const char *key = auth->keys[owner].bytes;
    sha256_init(&sha);
    sha256_update(&sha, strnlen(key, KEY_SIZE), (const uint8_t *)key);
    sha256_digest(&sha, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out->hex + 2 * i, 3, "%02x", digest[i]);
}
