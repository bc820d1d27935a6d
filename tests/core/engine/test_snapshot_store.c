/* Power cuts. What the store does to its files is recorded, call by call; then, for each moment,
 * the disks that a power cut may leave are built: names and bytes are only sure once synced, and
 * what is not may be there, or not, in any mixture. On each of them the store must find nothing but
 * sessions as they once were, and go on. */
#include "core/engine/snapshot_store.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model/forward.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { FINGERPRINT = 77, MAX_CALLS = 400, MAX_FDS = 1024, NAME_SIZE = 64, MAX_FILES = 16 };

/* ---- what is recorded ---- */

enum call_kind { CREATE, WRITE, SYNC, RENAME, UNLINK, SYNC_FOLDER };

struct call {
    enum call_kind kind;
    int file;                            /* CREATE, WRITE, SYNC: which, in order of creation */
    char from[NAME_SIZE], to[NAME_SIZE]; /* CREATE: to; UNLINK: from */
    struct buf bytes;                    /* WRITE */
};

static struct call calls[MAX_CALLS];
static int n_calls, n_files;
static int file_of_fd[MAX_FDS];  /* of a recorded file: its number + 1 */
static atomic_bool is_recording; /* one thread calls at a time: see do_job */

static struct call *record(enum call_kind kind)
{
    assert_true(n_calls < MAX_CALLS);
    struct call *call = &calls[n_calls++];
    *call = (struct call){.kind = kind};
    return call;
}

/* These stand before libc's in this program. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int openat(int folder, const char *path, int flags, ...)
{
    int fd = REAL(openat)(folder, path, flags, 0600);
    if (atomic_load(&is_recording) && (flags & O_CREAT) != 0 && fd >= 0 && fd < MAX_FDS) {
        struct call *call = record(CREATE);
        call->file = n_files++;
        file_of_fd[fd] = n_files;
        snprintf(call->to, NAME_SIZE, "%s", path);
    }
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (atomic_load(&is_recording) && fd < MAX_FDS && file_of_fd[fd] > 0) {
        struct call *call = record(WRITE);
        call->file = file_of_fd[fd] - 1;
        buf_append(&call->bytes, bytes, len);
    }
    return REAL(write)(fd, bytes, len);
}

int fdatasync(int fd)
{
    if (atomic_load(&is_recording))
        record(SYNC)->file = file_of_fd[fd] - 1;
    return 0;
}

int fsync(int fd)
{
    if (atomic_load(&is_recording)) {
        assert_int_equal(file_of_fd[fd], 0); /* the folder's */
        record(SYNC_FOLDER);
    }
    return 0;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    if (atomic_load(&is_recording)) {
        struct call *call = record(RENAME);
        snprintf(call->from, NAME_SIZE, "%s", from);
        snprintf(call->to, NAME_SIZE, "%s", to);
    }
    return REAL(renameat)(from_folder, from, to_folder, to);
}

int unlinkat(int folder, const char *path, int flags)
{
    if (atomic_load(&is_recording))
        snprintf(record(UNLINK)->from, NAME_SIZE, "%s", path);
    return REAL(unlinkat)(folder, path, flags);
}

int close(int fd)
{
    if (atomic_load(&is_recording) && fd < MAX_FDS)
        file_of_fd[fd] = 0;
    return REAL(close)(fd);
}

/* ---- sessions, and what they were ---- */

static char folder[] = "/tmp/test_snapshot_store.XXXXXX";

static int open_model_and_folder(void **state)
{
    tiny_model_open(state);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int close_model_and_folder(void **state)
{
    tiny_model_close(state);
    return rmdir(folder);
}

static struct session *open_session(void)
{
    struct kv_shape shape = tiny_model_kv_shape(4, 16, 7);
    struct session *session = NULL;
    assert_true(session_open(&session, &shape, SESSION_MODE_STREAMING, tiny.tokenizer, NULL));
    return session;
}

/* Reads n tokens more and says two. */
static void go_on(struct session *session, int n)
{
    struct session_turn turn = {.keep = session_position(session),
                                .max_tokens = 2,
                                .ignore_end = true,
                                .sampling = {.top_p = 1, .repetition_penalty = 1}};
    struct buf text = {0};
    for (int i = 0; i < n; i++)
        assert_true(token_list_push(&turn.prompt, 100 + n + i, NULL));
    assert_true(session_begin(session, &turn, NULL));
    while (session_state(session) == SESSION_READING ||
           session_state(session) == SESSION_SPEAKING) {
        struct forward_token token = {.id = session_pending(session, 0),
                                      .cache = session_cache(session),
                                      .wants_logits = session_n_pending(session) == 1};
        forward_run(tiny.forward, &token, 1);
        session_fed(session, 1);
        if (session_is_ready_to_choose(session))
            session_choose(session, forward_logits(tiny.forward, 0), &text);
    }
    struct session_outcome outcome;
    session_end(session, &text, &outcome);
    buf_done(&text);
}

static bool append(void *arg, const void *bytes, size_t len, struct err *err)
{
    (void)err;
    buf_append(arg, bytes, len);
    return true;
}

static struct buf bytes_of(struct session *session, uint64_t name)
{
    struct snapshot_id id = {.fingerprint = FINGERPRINT, .name = name};
    struct buf bytes = {0};
    assert_true(snapshot_write(session, &id, append, &bytes, NULL));
    return bytes;
}

/* All that was ever handed over to be saved. */
struct version {
    uint64_t name;
    struct buf bytes;
};
static struct version versions[MAX_FILES];
static int n_versions;

static int version_of(struct session *session, uint64_t name)
{
    struct buf bytes = bytes_of(session, name);
    int found = -1;
    for (int i = 0; i < n_versions; i++) {
        if (versions[i].name == name && versions[i].bytes.len == bytes.len &&
            memcmp(versions[i].bytes.data, bytes.data, bytes.len) == 0)
            found = i;
    }
    buf_done(&bytes);
    return found;
}

/* ---- the store ---- */

static void ignore_done(void *arg)
{
    (void)arg;
}

static struct snapshot_store *open_store(void)
{
    struct snapshot_store_options options = {
        .folder = folder, .fingerprint = FINGERPRINT, .on_done = ignore_done};
    struct snapshot_store *store = NULL;
    assert_true(snapshot_store_open(&store, &options, NULL));
    return store;
}

/* A save is given back before its file is in its place: this waits for that, too. */
static void do_job(struct snapshot_store *store, struct snapshot_job *job)
{
    snapshot_store_put(store, job);
    while (snapshot_store_progress(store).n_jobs > 0)
        usleep(100);
    assert_ptr_equal(snapshot_store_take(store), job);
}

static void save(struct snapshot_store *store, uint64_t name, struct session *session)
{
    struct buf note = {0};
    buf_append_format(&note, "%d", n_versions);
    session_set_note(session, &note);
    versions[n_versions].name = name;
    versions[n_versions++].bytes = bytes_of(session, name);
    struct snapshot_job job = {.kind = SNAPSHOT_SAVE, .name = name, .session = session};
    do_job(store, &job);
    assert_int_equal(job.err.code, ERR_NONE);
}

static struct session *load(struct snapshot_store *store, uint64_t name)
{
    struct snapshot_job job = {.kind = SNAPSHOT_LOAD, .name = name, .session = open_session()};
    do_job(store, &job);
    if (job.err.code != ERR_NONE)
        session_close(&job.session);
    return job.session;
}

static struct session *new_session(int n)
{
    struct session *session = open_session();
    go_on(session, n);
    return session;
}

/* The calls that a file's removal needs, before it counts as done. */
static int n_calls_when_removed;

/* Two sessions are saved; one comes back, goes on and is saved again, the other one is deleted. */
static void record_a_life(void)
{
    struct snapshot_store *store = open_store();
    atomic_store(&is_recording, true);
    save(store, 1, new_session(9));
    save(store, 2, new_session(30));
    struct session *first = load(store, 1);
    assert_non_null(first);
    go_on(first, 5);
    save(store, 1, first);
    struct snapshot_job job = {.kind = SNAPSHOT_REMOVE, .name = 2};
    do_job(store, &job);
    n_calls_when_removed = n_calls;
    save(store, 3, new_session(3));
    snapshot_store_finish(store);
    atomic_store(&is_recording, false);
    snapshot_store_close(&store);
}

/* ---- disks after a power cut ---- */

/* What of all that was not synced is there. */
struct loss {
    int first, last; /* of the unsynced changes of names, those that happened */
    enum { NO_BYTES, ALL_BYTES, HALF_AND_ZEROS } bytes;
};

struct name {
    char name[NAME_SIZE]; /* empty: taken away */
    int file;
};

struct disk {
    struct name names[MAX_FILES];
    struct buf files[MAX_FILES];
};

/* Its place, or MAX_FILES. */
static int find_name(const struct disk *disk, const char *name)
{
    int i = 0;
    while (i < MAX_FILES && strcmp(disk->names[i].name, name) != 0)
        i++;
    return i;
}

static void set_name(struct disk *disk, const char *name, int file)
{
    int i = find_name(disk, name);
    i = i == MAX_FILES ? find_name(disk, "") : i;
    assert_true(i < MAX_FILES);
    snprintf(disk->names[i].name, NAME_SIZE, "%s", name);
    disk->names[i].file = file;
}

static void take_name(struct disk *disk, const char *name)
{
    int i = find_name(disk, name);
    if (i < MAX_FILES)
        disk->names[i].name[0] = '\0';
}

/* As the running system sees it, which of a call's files are meant. */
static int files_of_renames[MAX_CALLS];

static void resolve_renames(void)
{
    struct disk disk = {0};
    for (int i = 0; i < n_calls; i++) {
        const struct call *call = &calls[i];
        if (call->kind == CREATE)
            set_name(&disk, call->to, call->file);
        if (call->kind != RENAME)
            continue;
        int from = find_name(&disk, call->from);
        assert_true(from < MAX_FILES);
        files_of_renames[i] = disk.names[from].file;
        take_name(&disk, call->from);
        set_name(&disk, call->to, files_of_renames[i]);
    }
}

static bool changes_names(const struct call *call)
{
    return call->kind == CREATE || call->kind == RENAME || call->kind == UNLINK;
}

static void change_names(struct disk *disk, int i)
{
    const struct call *call = &calls[i];
    if (call->kind != CREATE)
        take_name(disk, call->from);
    if (call->kind != UNLINK)
        set_name(disk, call->to, call->kind == CREATE ? call->file : files_of_renames[i]);
}

static int last_sync_of(int file, int n)
{
    int last = -1;
    for (int i = 0; i < n; i++) {
        if (calls[i].kind == SYNC && calls[i].file == file)
            last = i;
    }
    return last;
}

static void fill_files(struct disk *disk, int n, const struct loss *loss)
{
    for (int i = 0; i < n; i++) {
        const struct call *call = &calls[i];
        if (call->kind != WRITE)
            continue;
        struct buf *bytes = &disk->files[call->file];
        bool is_sure = last_sync_of(call->file, n) > i;
        size_t n_there = is_sure || loss->bytes == ALL_BYTES ? call->bytes.len
                         : loss->bytes == HALF_AND_ZEROS     ? call->bytes.len / 2
                                                             : 0;
        buf_append(bytes, call->bytes.data, n_there);
        if (loss->bytes == HALF_AND_ZEROS) {
            static const char zeros[4096];
            for (size_t left = call->bytes.len - n_there; left > 0;) {
                size_t len = left < sizeof zeros ? left : sizeof zeros;
                buf_append(bytes, zeros, len);
                left -= len;
            }
        }
    }
}

static int last_sync_of_names(int n)
{
    int last = 0;
    for (int i = 0; i < n; i++)
        last = calls[i].kind == SYNC_FOLDER ? i : last;
    return last;
}

static int count_unsure_names(int n)
{
    int n_unsure = 0;
    for (int i = last_sync_of_names(n); i < n; i++)
        n_unsure += changes_names(&calls[i]);
    return n_unsure;
}

/* The disk when the power went after n calls. */
static void build_disk(struct disk *disk, int n, const struct loss *loss)
{
    int n_sure = last_sync_of_names(n), n_unsure = 0;
    for (int i = 0; i < n; i++) {
        if (!changes_names(&calls[i]))
            continue;
        if (i < n_sure || (n_unsure >= loss->first && n_unsure < loss->last))
            change_names(disk, i);
        n_unsure += i >= n_sure;
    }
    fill_files(disk, n, loss);
}

static void put_into_folder(const struct disk *disk)
{
    for (int i = 0; i < MAX_FILES; i++) {
        char path[sizeof folder + NAME_SIZE + 1];
        if (disk->names[i].name[0] == '\0')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, disk->names[i].name);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        const struct buf *bytes = &disk->files[disk->names[i].file];
        assert_int_equal(fwrite(buf_text(bytes), 1, bytes->len, file), bytes->len);
        fclose(file);
    }
}

/* ---- what is found on them ---- */

static struct {
    uint64_t name;
    int version; /* as its note says */
} found[MAX_FILES];
static int n_found;

static void note_found(void *arg, uint64_t name, uint64_t n_bytes, struct buf *note)
{
    (void)arg;
    (void)n_bytes;
    found[n_found].name = name;
    found[n_found++].version = atoi(buf_text(note));
}

static int count_entries(void)
{
    DIR *dir = opendir(folder);
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

/* Leaves the folder empty. Fills in which versions of sessions 1 to 3 were there; they begin as -1.
 */
static void check_what_is_there(int n, int out_versions[4])
{
    struct snapshot_store *store = open_store();
    n_found = 0;
    assert_true(snapshot_store_list(store, note_found, NULL, NULL));
    assert_int_equal(count_entries(), n_found); /* what is of no use is gone */
    for (int i = 0; i < n_found; i++) {
        struct session *session = load(store, found[i].name);
        if (session != NULL) {
            int version = version_of(session, found[i].name);
            assert_int_equal(version, found[i].version);
            out_versions[found[i].name] = version;
            go_on(session, 2);
        }
        session_close(&session);
    }
    if (n >= n_calls_when_removed)
        assert_int_equal(out_versions[2], -1); /* deleted is deleted */
    assert_int_equal(count_entries(), 0);
    snapshot_store_close(&store);
}

static void try_loss(int n, const struct loss *loss, int out_versions[4])
{
    struct disk disk = {0};
    build_disk(&disk, n, loss);
    put_into_folder(&disk);
    memset(out_versions, -1, 4 * sizeof out_versions[0]);
    check_what_is_there(n, out_versions);
    for (int i = 0; i < MAX_FILES; i++)
        buf_done(&disk.files[i]);
}

/* Every run of the changes of names that were not sure, with every state of the bytes. */
static void try_moment(int n, int *n_tried, int *n_lost)
{
    int n_unsure = count_unsure_names(n);
    for (int first = 0; first <= n_unsure; first++) {
        for (int last = first; last <= n_unsure; last++) {
            for (int bytes = NO_BYTES; bytes <= HALF_AND_ZEROS; bytes++) {
                struct loss loss = {.first = first, .last = last, .bytes = bytes};
                int kept[4];
                try_loss(n, &loss, kept);
                *n_tried += 1;
                *n_lost += kept[1] < 0;
                if (n == n_calls) { /* it had finished: nothing may be missing */
                    assert_int_equal(kept[1], 2);
                    assert_int_equal(kept[3], 3);
                }
            }
        }
    }
}

static void a_power_cut_leaves_the_old_the_new_or_none(void **state)
{
    (void)state;
    record_a_life();
    assert_int_equal(n_versions, 4);
    int versions_there[4] = {-1, -1, -1, -1};
    check_what_is_there(n_calls, versions_there);
    assert_int_equal(versions_there[1], 2);
    assert_int_equal(versions_there[3], 3);
    resolve_renames();
    int n_tried = 0, n_lost = 0;
    for (int n = 0; n <= n_calls; n++)
        try_moment(n, &n_tried, &n_lost);
    print_message("%d calls, %d disks, on %d the first session was not there\n", n_calls, n_tried,
                  n_lost);
    assert_true(n_tried > n_calls && n_lost > 0 && n_lost < n_tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_leaves_the_old_the_new_or_none),
    };
    int n_failed = cmocka_run_group_tests(tests, open_model_and_folder, close_model_and_folder);
    for (int i = 0; i < n_calls; i++)
        buf_done(&calls[i].bytes);
    for (int i = 0; i < n_versions; i++)
        buf_done(&versions[i].bytes);
    return n_failed;
}
