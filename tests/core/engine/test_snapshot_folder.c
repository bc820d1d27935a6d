/* test_snapshot_folder.c - what a disk does to saved sessions: it is full, fails, holds what was
 * damaged and what never was a session. Whatever comes of it, an older file of the session stays
 * or is whole, and nothing half-done is left. */
#include "core/engine/snapshot_folder.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"
#include "tests/support/check.h"

enum { FINGERPRINT = 0x77, NAME = 5, NOBODY = 65534, LONG_NOTE = 300000 /* in two blocks */ };
#define PLACE "0000000000000077-0000000000000005.kv"
#define TEMPORARY "0000000000000077-0000000000000005.kv.tmp"

/* ---- a disk that fails ---- */

static struct {
    bool is_full;      /* after `room` more bytes */
    size_t room;       /* to be written */
    bool is_slow;      /* each call is interrupted, or moves few bytes */
    bool cannot_read;  /* as a bad sector */
    bool cannot_sync;  /* the data */
    bool cannot_place; /* a file by its name */
} disk;
static int n_slow_calls;

/* These stand before libc's in this program. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static bool fail_with(int error)
{
    errno = error;
    return true;
}

static bool is_interrupted(size_t *len)
{
    enum { FEW = 1021 };
    if (disk.is_slow && *len > FEW)
        *len = FEW;
    return disk.is_slow && n_slow_calls++ % 2 == 0 && fail_with(EINTR);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (is_interrupted(&len) || (disk.is_full && disk.room == 0 && fail_with(ENOSPC)))
        return -1;
    if (disk.is_full && len > disk.room)
        len = disk.room;
    disk.room -= disk.is_full ? len : 0;
    return REAL(write)(fd, bytes, len);
}

ssize_t read(int fd, void *bytes, size_t len)
{
    if (is_interrupted(&len) || (disk.cannot_read && fail_with(EIO)))
        return -1;
    return REAL(read)(fd, bytes, len);
}

int fdatasync(int fd)
{
    return disk.cannot_sync && fail_with(EIO) ? -1 : REAL(fdatasync)(fd);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return disk.cannot_place && fail_with(EIO) ? -1
                                               : REAL(renameat)(from_folder, from, to_folder, to);
}

/* ---- the folder, and what is in it ---- */

static char path[64];
static struct snapshot_folder *folder;

static int open_folder(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof disk);
    snprintf(path, sizeof path, "/tmp/test_snapshot_folder.XXXXXX");
    return mkdtemp(path) != NULL && snapshot_folder_open(&folder, path, FINGERPRINT, NULL) ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char file[sizeof path + NAME_MAX + 1];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return file;
}

/* Without ".", ".."; the names one after the other in *out, if that is not NULL. */
static int count_entries(struct buf *out)
{
    DIR *dir = opendir(path);
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (out != NULL)
            buf_append_format(out, "%s ", entry->d_name);
    }
    closedir(dir);
    return n;
}

static int close_folder(void **state)
{
    (void)state;
    struct buf names = {0};
    snapshot_folder_close(&folder);
    count_entries(&names);
    char *rest = buf_text(&names) == NULL ? NULL : names.data;
    for (const char *name; names.len > 0 && (name = strsep(&rest, " ")) != NULL && *name != '\0';)
        remove(path_of(name));
    buf_done(&names);
    return rmdir(path);
}

static void put_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* What each test must leave as it was. */
static int first_free_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

/* ---- sessions ---- */

static struct session *open_session(void)
{
    static const struct kv_shape shape = {.n_layers = 2,
                                          .n_kv_heads = 1,
                                          .head_dim_k = 8,
                                          .head_dim_v = 8,
                                          .type = KV_F16,
                                          .n_sinks = 2,
                                          .n_window = 16,
                                          .n_slack = 3};
    struct session *session = NULL;
    assert_true(session_open(&session, &shape, SESSION_MODE_STREAMING, NULL, NULL));
    return session;
}

static bool fill(void *arg, void *bytes, size_t len)
{
    memset(bytes, *(unsigned char *)arg, len);
    return true;
}

/* One that has read something, of rows and a note that are all `letter`. */
static struct session *make_session(unsigned char letter, uint64_t n_note)
{
    struct session *session = open_session();
    struct session_saved saved = {
        .cache = {.n_sinks = 2, .position = 30, .ring_from = 14}, .n_note = n_note, .n_start = 4};
    assert_true(session_restore(session, &saved));
    assert_true(session_walk(session, fill, &letter));
    return session;
}

static bool append(void *arg, const void *bytes, size_t len, struct err *err)
{
    (void)err;
    buf_append(arg, bytes, len);
    return true;
}

static struct buf bytes_of(struct session *session)
{
    struct snapshot_id id = {.fingerprint = FINGERPRINT, .name = NAME};
    struct buf bytes = {0};
    assert_true(snapshot_write(session, &id, append, &bytes, NULL));
    return bytes;
}

static bool try_to_write(struct session *session, int *out_file, struct err *err)
{
    return snapshot_folder_write(folder, NAME, session, out_file, err);
}

static void save(uint64_t name, unsigned char letter, uint64_t n_note)
{
    struct session *session = make_session(letter, n_note);
    struct err err = {0};
    int file;
    if (!snapshot_folder_write(folder, name, session, &file, &err))
        fail_msg("%s", err.text);
    assert_true(snapshot_folder_keep(folder, name, file));
    session_close(&session);
}

/* It is in its place, alone and as it was saved; afterwards the folder is empty. */
static void assert_comes_back(unsigned char letter, uint64_t n_note)
{
    struct session *saved = make_session(letter, n_note), *read = open_session();
    struct err err = {0};
    assert_int_equal(count_entries(NULL), 1);
    if (!snapshot_folder_read(folder, NAME, read, &err))
        fail_msg("%s", err.text);
    struct buf expected = bytes_of(saved), bytes = bytes_of(read);
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.data, expected.data, bytes.len);
    assert_int_equal(count_entries(NULL), 0);
    buf_done(&expected);
    buf_done(&bytes);
    session_close(&saved);
    session_close(&read);
}

/* The file is refused for this reason, and what was read of it is forgotten. */
static void assert_refused(enum err_code code, const char *reason)
{
    struct session *session = open_session();
    struct err err = {0};
    int fd = first_free_fd();
    assert_false(snapshot_folder_read(folder, NAME, session, &err));
    assert_int_equal(err.code, code);
    if (strstr(err.text, reason) == NULL)
        fail_msg("expected %s in %s", reason, err.text);
    assert_int_equal(session_position(session), 0);
    assert_int_equal(first_free_fd(), fd);
    session_close(&session);
}

/* ---- a good disk ---- */

static void a_session_comes_back_once(void **state)
{
    (void)state;
    struct stat info;
    save(NAME, 'a', LONG_NOTE);
    assert_int_equal(stat(path_of(PLACE), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600); /* what was said is nobody else's business */
    uint64_t n_moves = snapshot_folder_n_moves(folder);
    assert_comes_back('a', LONG_NOTE);
    assert_true(snapshot_folder_n_moves(folder) > n_moves);
    assert_refused(ERR_NOT_FOUND, "No such file");
}

static void a_later_file_takes_the_place_of_an_older_one(void **state)
{
    (void)state;
    save(NAME, 'a', LONG_NOTE);
    save(NAME, 'b', 9);
    assert_comes_back('b', 9);
    save(NAME, 'c', 0);
    snapshot_folder_remove(folder, NAME);
    snapshot_folder_remove(folder, NAME); /* there is none */
    assert_int_equal(count_entries(NULL), 0);
}

static void interrupted_calls_go_on(void **state)
{
    (void)state;
    disk.is_slow = true;
    save(NAME, 'a', LONG_NOTE);
    assert_comes_back('a', LONG_NOTE);
    assert_true(n_slow_calls > 1000);
}

/* ---- a bad one ---- */

static void a_full_disk_leaves_the_older_file(void **state)
{
    (void)state;
    save(NAME, 'a', 9);
    struct session *session = make_session('b', LONG_NOTE);
    size_t n_bytes = (size_t)snapshot_bytes(session);
    int fd = first_free_fd(), file;
    for (size_t room = 0; room < n_bytes; room = room < 100 ? room + 1 : room * 5 / 4) {
        struct err err = {0};
        disk.is_full = true;
        disk.room = room;
        assert_false(try_to_write(session, &file, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_string_equal(err.text, "cannot save a conversation: No space left on device");
        assert_int_equal(count_entries(NULL), 1);
        assert_int_equal(first_free_fd(), fd);
    }
    disk.is_full = false;
    session_close(&session);
    assert_comes_back('a', 9);
}

static void what_cannot_be_put_in_its_place_leaves_the_older_file(void **state)
{
    (void)state;
    struct session *session = make_session('b', 9);
    save(NAME, 'a', 9);
    int fd = first_free_fd(), file;
    for (int i = 0; i < 2; i++) {
        disk.cannot_sync = i == 0;
        disk.cannot_place = i == 1;
        assert_true(try_to_write(session, &file, NULL));
        assert_int_equal(count_entries(NULL), 2);
        assert_false(snapshot_folder_keep(folder, NAME, file));
        assert_int_equal(count_entries(NULL), 1);
        assert_int_equal(first_free_fd(), fd);
    }
    session_close(&session);
    assert_comes_back('a', 9);
}

static void a_file_that_cannot_be_read_is_given_up(void **state)
{
    (void)state;
    save(NAME, 'a', LONG_NOTE);
    disk.cannot_read = true;
    assert_refused(ERR_IO, "cannot read a saved conversation: Input/output error");
    assert_int_equal(count_entries(NULL), 0);
}

/* ---- broken files ---- */

static void a_broken_file_is_refused_and_removed(void **state)
{
    (void)state;
    struct session *session = make_session('a', LONG_NOTE);
    struct buf bytes = bytes_of(session);
    size_t n = bytes.len;
    for (size_t len = 0; len < n; len = len < 100 ? len + 1 : len * 9 / 8) { /* cut */
        put_file(PLACE, bytes.data, len);
        assert_refused(ERR_FORMAT, "damaged");
        assert_int_equal(count_entries(NULL), 0);
    }
    buf_append(&bytes, "x", 1); /* too long */
    put_file(PLACE, bytes.data, n + 1);
    assert_refused(ERR_FORMAT, "its length does not fit");
    for (size_t i = 0; i < n; i = i < 100 ? i + 1 : i * 9 / 8) { /* another byte */
        bytes.data[i] = (char)(bytes.data[i] ^ 4);
        put_file(PLACE, bytes.data, n);
        bool is_version = i >= 8 && i < 12;
        assert_refused(is_version ? ERR_UNSUPPORTED : ERR_FORMAT,
                       is_version ? "this version reads" : "damaged");
        bytes.data[i] = (char)(bytes.data[i] ^ 4);
        assert_int_equal(count_entries(NULL), 0);
    }
    buf_done(&bytes);
    session_close(&session);
}

/* Nothing is allocated for what a length promises. */
static void a_file_of_an_impossible_size_is_refused(void **state)
{
    (void)state;
    static const off_t sizes[] = {1 << 20, (off_t)1 << 32, (off_t)1 << 43};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        save(NAME, 'a', 9);
        assert_int_equal(truncate(path_of(PLACE), sizes[i]), 0);
        assert_refused(ERR_FORMAT, "its length does not fit");
        put_file(PLACE, "", 0);
        assert_int_equal(truncate(path_of(PLACE), sizes[i]), 0);
        assert_refused(ERR_FORMAT, "it is no such file");
    }
}

/* Nobody's data is written to or read through a name that leads elsewhere, and nobody waits. */
static void what_is_no_file_is_left_alone(void **state)
{
    (void)state;
    struct session *session = make_session('a', 9);
    struct err err = {0};
    int file;
    put_file("target", "as it was", 9);
    assert_int_equal(symlink("target", path_of(TEMPORARY)), 0);
    assert_false(try_to_write(session, &file, &err));
    assert_string_equal(err.text, "cannot save a conversation: Too many levels of symbolic links");
    assert_int_equal(unlink(path_of(TEMPORARY)), 0);

    assert_int_equal(symlink("target", path_of(PLACE)), 0);
    assert_refused(ERR_IO, "Too many levels of symbolic links");
    assert_int_equal(mkfifo(path_of(PLACE), 0600), 0);
    assert_refused(ERR_FORMAT, "is not a file");
    assert_int_equal(mkdir(path_of(PLACE), 0700), 0);
    assert_refused(ERR_FORMAT, "is not a file");
    assert_int_equal(rmdir(path_of(PLACE)), 0);

    char text[16] = "";
    FILE *target = fopen(path_of("target"), "r");
    assert_non_null(fgets(text, sizeof text, target));
    fclose(target);
    assert_string_equal(text, "as it was");
    assert_int_equal(count_entries(NULL), 1);
    session_close(&session);
}

/* ---- which there are ---- */

static struct buf listed; /* "name:bytes of its note " each */

static void add_listed(void *arg, uint64_t name, uint64_t n_bytes, struct buf *note)
{
    struct stat info;
    char file[64];
    (void)arg;
    snprintf(file, sizeof file, "0000000000000077-%016llx.kv", (unsigned long long)name);
    assert_int_equal(stat(path_of(file), &info), 0);
    assert_int_equal(n_bytes, info.st_size);
    buf_append_format(&listed, "%llx:%zu ", (unsigned long long)name, note->len);
    buf_done(note); /* taken over */
}

static void assert_lists(const char *expected)
{
    struct err err = {0};
    int fd = first_free_fd();
    buf_clear(&listed);
    if (!snapshot_folder_list(folder, add_listed, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(listed.len == 0 ? "" : buf_text(&listed), expected);
    assert_int_equal(first_free_fd(), fd);
    buf_done(&listed);
}

static void set_age(const char *name, long age)
{
    struct timespec times[2] = {{.tv_sec = 1000000 - age / 2, .tv_nsec = 1 - age % 2},
                                {.tv_sec = 1000000 - age / 2, .tv_nsec = 1 - age % 2}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static void sessions_are_listed_oldest_first(void **state)
{
    (void)state;
    static const int ages[] = {3, 1, 4, 5, 2};
    assert_lists("");
    for (uint64_t i = 0; i < 5; i++) {
        char name[64];
        uint64_t number = UINT64_MAX - i;
        save(number, 'a', (i + 1) * 11);
        snprintf(name, sizeof name, "0000000000000077-%016llx.kv", (unsigned long long)number);
        set_age(name, ages[i]);
    }
    assert_lists("fffffffffffffffc:44 fffffffffffffffd:33 ffffffffffffffff:11 "
                 "fffffffffffffffb:55 fffffffffffffffe:22 ");
    assert_int_equal(count_entries(NULL), 5);
}

static void what_is_of_no_use_is_removed_and_the_rest_left(void **state)
{
    (void)state;
    static const char *const useless[] = {
        TEMPORARY,                              /* half-written */
        "0000000000000078-0000000000000005.kv", /* another model's */
        "0000000000000077-000000000000000A.kv", /* as we do not write it */
        "0000000000000077-+000000000000005.kv",
        "77-5.kv",
        "0000000000000077-00000000000000005.kv",
        "0000000000000077-0000000000000006.kv", /* empty */
        "x.kv",
    };
    static const char *const others[] = {"notes", "sinkd.db", "0000000000000077-000000000000000b"};
    save(NAME, 'a', LONG_NOTE);
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++)
        put_file(useless[i], "", 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_file(others[i], "", 0);
    assert_int_equal(mkdir(path_of("0000000000000077-0000000000000007.kv"), 0700), 0);
    assert_int_equal(symlink("notes", path_of("0000000000000077-0000000000000008.kv")), 0);
    assert_lists("5:300000 ");
    assert_int_equal(count_entries(NULL), 1 + 3 + 1); /* the folder stays, too */
}

static void files_that_cannot_be_read_are_not_listed(void **state)
{
    (void)state;
    save(NAME, 'a', LONG_NOTE);
    assert_int_equal(truncate(path_of(PLACE), LONG_NOTE - 1), 0);
    save(NAME + 1, 'b', 9);
    assert_lists("6:9 ");
    disk.cannot_read = true;
    assert_lists("");
    assert_int_equal(count_entries(NULL), 0);
}

/* ---- the folder itself ---- */

static void assert_no_folder(const char *place, const char *reason)
{
    struct snapshot_folder *none = NULL;
    struct err err = {0};
    int fd = first_free_fd();
    assert_false(snapshot_folder_open(&none, place, FINGERPRINT, &err));
    assert_null(none);
    assert_int_equal(err.code, ERR_IO);
    if (strstr(err.text, reason) == NULL || strstr(err.text, place) == NULL)
        fail_msg("expected %s of %s in %s", reason, place, err.text);
    assert_int_equal(first_free_fd(), fd);
}

static void a_folder_that_cannot_be_used_is_named(void **state)
{
    (void)state;
    put_file("file", "", 0);
    assert_no_folder(path_of("no parent/kv"), "cannot make the folder");
    assert_no_folder(path_of("file"), "Not a directory");
    assert_no_folder(path_of("file/kv"), "Not a directory");
    snapshot_folder_close(&folder);
    assert_true(snapshot_folder_open(&folder, path_of("new"), FINGERPRINT, NULL));
    struct stat info;
    assert_int_equal(stat(path_of("new"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

/* An operator who changes permissions under a running daemon loses what it would save, no more. */
static void a_folder_without_permission_is_named(void **state)
{
    (void)state;
    struct session *session = make_session('b', 9);
    struct err err = {0};
    int file;
    save(NAME, 'a', 9);
    assert_int_equal(chmod(path, 0), 0);
    bool is_root = geteuid() == 0;
    if (is_root && seteuid(NOBODY) != 0)
        skip();
    bool is_written = try_to_write(session, &file, &err);
    struct err no_list = {0};
    bool is_listed = snapshot_folder_list(folder, add_listed, NULL, &no_list);
    assert_no_folder(path, "Permission denied");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_false(is_written);
    assert_string_equal(err.text, "cannot save a conversation: Permission denied");
    assert_false(is_listed);
    assert_non_null(strstr(no_list.text, "cannot read the folder"));
    session_close(&session);
    assert_comes_back('a', 9);
}

static void a_folder_that_vanished_is_an_error(void **state)
{
    (void)state;
    struct session *session = make_session('a', 9);
    struct err err = {0};
    int file;
    assert_int_equal(rmdir(path), 0);
    assert_false(try_to_write(session, &file, &err));
    assert_string_equal(err.text, "cannot save a conversation: No such file or directory");
    assert_refused(ERR_NOT_FOUND, "No such file");
    snapshot_folder_remove(folder, NAME);
    assert_false(snapshot_folder_list(folder, add_listed, NULL, &err));
    assert_int_equal(mkdir(path, 0700), 0);
    session_close(&session);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_comes_back_once),
        TEST(a_later_file_takes_the_place_of_an_older_one),
        TEST(interrupted_calls_go_on),
        TEST(a_full_disk_leaves_the_older_file),
        TEST(what_cannot_be_put_in_its_place_leaves_the_older_file),
        TEST(a_file_that_cannot_be_read_is_given_up),
        TEST(a_broken_file_is_refused_and_removed),
        TEST(a_file_of_an_impossible_size_is_refused),
        TEST(what_is_no_file_is_left_alone),
        TEST(sessions_are_listed_oldest_first),
        TEST(what_is_of_no_use_is_removed_and_the_rest_left),
        TEST(files_that_cannot_be_read_are_not_listed),
        TEST(a_folder_that_cannot_be_used_is_named),
        TEST(a_folder_without_permission_is_named),
        TEST(a_folder_that_vanished_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
