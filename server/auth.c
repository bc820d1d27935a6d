#include "server/auth.h"

#include <errno.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/line_reader.h"

enum { MAX_KEY_LEN = 255, MIN_KEY_LEN = 8, MAX_NAME_LEN = 63, MAX_KEYS = 10000 };

struct digest {
    uint8_t bytes[SHA256_DIGEST_SIZE];
};

struct key {
    struct digest digest;
    int owner;
};

struct owner {
    struct digest digest; /* of the name, or of the nameless key */
    char name[MAX_NAME_LEN + 1];
};

struct auth {
    char *path; /* NULL: no key is asked for */
    struct key *keys;
    int n_keys;
    struct owner *owners; /* grows only: a number is never given to another */
    int n_owners;
};

static void make_digest(const char *text, size_t len, struct digest *out)
{
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, len, (const uint8_t *)text);
    sha256_digest(&sha, sizeof out->bytes, out->bytes);
    explicit_bzero(&sha, sizeof sha);
}

static bool find_or_add_owner(struct auth *auth, const struct digest *digest, const char *name,
                              int *out, struct err *err)
{
    int i = 0;
    while (i < auth->n_owners && memcmp(&auth->owners[i].digest, digest, sizeof *digest) != 0)
        i++;
    if (i == auth->n_owners) {
        struct owner *owners = reallocarray(auth->owners, (size_t)i + 1, sizeof *owners);
        if (owners == NULL)
            return err_no_memory(err, "the keys");
        auth->owners = owners;
        auth->owners[i].digest = *digest;
        auth->n_owners++;
    }
    snprintf(auth->owners[i].name, sizeof auth->owners[i].name, "%s", name);
    *out = i;
    return true;
}

/* ---- the file ---- */

struct key_list {
    struct key *keys;
    int n;
};

static bool add_key(struct auth *auth, struct key_list *list, const char *name, const char *text,
                    struct err *err)
{
    size_t len = strlen(text);
    if (len < MIN_KEY_LEN || len > MAX_KEY_LEN)
        return err_set(err, ERR_INVALID, "a key must have %d to %d characters", (int)MIN_KEY_LEN,
                       (int)MAX_KEY_LEN);
    if (list->n == MAX_KEYS)
        return err_set(err, ERR_LIMIT, "there may be at most %d keys", (int)MAX_KEYS);
    struct key *keys = reallocarray(list->keys, (size_t)list->n + 1, sizeof *keys);
    if (keys == NULL)
        return err_no_memory(err, "the keys");
    list->keys = keys;

    struct key key;
    struct digest owner;
    make_digest(text, len, &key.digest);
    char name_text[MAX_NAME_LEN + 3];
    snprintf(name_text, sizeof name_text, "%s: ", name); /* no key: it has a space */
    if (name[0] == '\0')
        owner = key.digest;
    else
        make_digest(name_text, strlen(name_text), &owner);
    if (!find_or_add_owner(auth, &owner, name, &key.owner, err))
        return false;
    keys[list->n++] = key;
    return true;
}

/* A key that clients can send has no space in it, so ": " ends a name. */
static bool read_line(struct auth *auth, struct key_list *list, char *line, struct err *err)
{
    char *begin = line + strspn(line, " \t");
    size_t len = strlen(begin);
    while (len > 0 && strchr(" \t\r", begin[len - 1]) != NULL)
        len--;
    begin[len] = '\0';
    if (len == 0 || begin[0] == '#')
        return true;
    char *colon = strstr(begin, ": ");
    if (colon == NULL)
        return add_key(auth, list, "", begin, err);
    *colon = '\0';
    if (strlen(begin) > MAX_NAME_LEN || begin[0] == '\0')
        return err_set(err, ERR_INVALID, "a name must have 1 to %d characters", (int)MAX_NAME_LEN);
    return add_key(auth, list, begin, colon + 2 + strspn(colon + 2, " \t"), err);
}

static bool read_lines(struct auth *auth, struct key_list *list, FILE *file, struct err *err)
{
    char line[MAX_NAME_LEN + MAX_KEY_LEN + 64];
    struct line_reader reader = {.file = file, .line = line, .size = sizeof line};
    bool is_good = true;
    while (is_good && line_reader_next(&reader, err))
        is_good = read_line(auth, list, line, err) || err_prefix(err, "line %d", reader.n);
    explicit_bzero(line, sizeof line);
    is_good = is_good && !reader.has_failed;
    if (is_good && list->n == 0)
        return err_set(err, ERR_INVALID,
                       "it holds no key; put one on a line, at least %d characters",
                       (int)MIN_KEY_LEN);
    return is_good;
}

static bool read_file(struct auth *auth, struct key_list *list, struct err *err)
{
    FILE *file = fopen(auth->path, "re");
    if (file == NULL)
        return err_set(err, ERR_IO, "%s", strerror(errno));
    struct stat st;
    if (fstat(fileno(file), &st) == 0 && (st.st_mode & S_IROTH) != 0)
        log_warning("the API key file %s can be read by everybody; chmod 600 it", auth->path);
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the keys stays in a freed buffer */
    bool is_good = read_lines(auth, list, file, err);
    fclose(file);
    return is_good;
}

bool auth_reload(struct auth *auth, struct err *err)
{
    if (auth->path == NULL)
        return true;
    struct key_list list = {.n = 0};
    if (!read_file(auth, &list, err)) {
        free(list.keys);
        return err_prefix(err, "cannot use the API key file %s", auth->path);
    }
    free(auth->keys);
    auth->keys = list.keys;
    auth->n_keys = list.n;
    return true;
}

bool auth_open(struct auth **out, const char *path, struct err *err)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL || (path != NULL && (auth->path = strdup(path)) == NULL)) {
        free(auth);
        return err_no_memory(err, "the keys");
    }
    if (!auth_reload(auth, err)) {
        auth_close(&auth);
        return false;
    }
    *out = auth;
    return true;
}

void auth_close(struct auth **auth)
{
    if (*auth != NULL) {
        free((*auth)->keys);
        free((*auth)->owners);
        free((*auth)->path);
        free(*auth);
    }
    *auth = NULL;
}

/* ---- a request ---- */

bool auth_is_required(const struct auth *auth)
{
    return auth->path != NULL;
}

int auth_n_keys(const struct auth *auth)
{
    return auth->n_keys;
}

int auth_find_owner(const struct auth *auth, const char *authorization, const char *api_key)
{
    if (auth->path == NULL)
        return 0;
    const char *given = api_key;
    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0 &&
        authorization[7 + strspn(authorization + 7, " ")] != '\0')
        given = authorization + 7 + strspn(authorization + 7, " ");
    if (given == NULL || strlen(given) > MAX_KEY_LEN)
        return -1;

    struct digest digest;
    make_digest(given, strlen(given), &digest);
    int owner = -1;
    for (int i = 0; i < auth->n_keys; i++) { /* all of them: no early end to be timed */
        if (memeql_sec(&auth->keys[i].digest, &digest, sizeof digest))
            owner = auth->keys[i].owner;
    }
    return owner;
}

const char *auth_owner_name(const struct auth *auth, int owner)
{
    bool is_named = owner >= 0 && owner < auth->n_owners && auth->owners[owner].name[0] != '\0';
    return is_named ? auth->owners[owner].name : NULL;
}

void auth_read_digest(const struct auth *auth, int owner, struct auth_digest *out)
{
    if (auth->path == NULL || owner < 0 || owner >= auth->n_owners) {
        snprintf(out->hex, sizeof out->hex, "anyone");
        return;
    }
    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(out->hex + 2 * i, 3, "%02x", auth->owners[owner].digest.bytes[i]);
}

int auth_find_digest(const struct auth *auth, const char *hex)
{
    struct auth_digest digest;
    int n_owners = auth->path == NULL ? 1 : auth->n_owners;
    for (int owner = 0; owner < n_owners; owner++) {
        auth_read_digest(auth, owner, &digest);
        if (strcmp(digest.hex, hex) == 0)
            return owner;
    }
    return -1;
}
