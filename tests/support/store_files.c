#include "tests/support/store_files.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[32];
static char path[64];
static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

const char *store_files_make(void)
{
    snprintf(folder, sizeof folder, "/tmp/sinkd-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        abort();
    snprintf(path, sizeof path, "%s/sinkd.db", folder);
    return path;
}

static void name_file(int i, char out[80])
{
    snprintf(out, 80, "%s%s", path, suffixes[i]);
}

void store_files_remove(void)
{
    for (int i = 0; i < 4; i++) {
        char name[80];
        name_file(i, name);
        unlink(name);
    }
    rmdir(folder);
}

bool store_files_hold(const char *text)
{
    bool is_found = false;
    for (int i = 0; i < 4; i++) {
        char name[80];
        name_file(i, name);
        FILE *file = fopen(name, "rb");
        if (file == NULL)
            continue;
        static char bytes[16 * 1024 * 1024];
        size_t n = fread(bytes, 1, sizeof bytes, file);
        is_found = is_found || memmem(bytes, n, text, strlen(text)) != NULL;
        fclose(file);
    }
    return is_found;
}

/* ---- the disk: SQLite's own, but for two calls ---- */

static _Atomic enum disk_fault fault_now; /* set by a test while the store works */
static sqlite3_vfs *below;

/* The real file lies behind it. */
struct faulty_file {
    sqlite3_file base;
};

static sqlite3_file *real_file(sqlite3_file *file)
{
    return (sqlite3_file *)((struct faulty_file *)file + 1);
}

static int on_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
    if (fault_now == DISK_FAILS_WRITES)
        return SQLITE_IOERR_WRITE;
    if (fault_now == DISK_IS_FULL)
        return SQLITE_FULL;
    return real_file(file)->pMethods->xWrite(real_file(file), bytes, n, offset);
}

static int on_sync(sqlite3_file *file, int flags)
{
    if (fault_now == DISK_FAILS_SYNCS)
        return SQLITE_IOERR_FSYNC;
    return real_file(file)->pMethods->xSync(real_file(file), flags);
}

static int on_close(sqlite3_file *file)
{
    return real_file(file)->pMethods->xClose(real_file(file));
}

static int on_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 offset)
{
    return real_file(file)->pMethods->xRead(real_file(file), bytes, n, offset);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_file(file)->pMethods->xTruncate(real_file(file), size);
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_file(file)->pMethods->xFileSize(real_file(file), size);
}

static int on_lock(sqlite3_file *file, int lock)
{
    return real_file(file)->pMethods->xLock(real_file(file), lock);
}

static int on_unlock(sqlite3_file *file, int lock)
{
    return real_file(file)->pMethods->xUnlock(real_file(file), lock);
}

static int on_check_lock(sqlite3_file *file, int *out)
{
    return real_file(file)->pMethods->xCheckReservedLock(real_file(file), out);
}

static int on_control(sqlite3_file *file, int op, void *arg)
{
    return real_file(file)->pMethods->xFileControl(real_file(file), op, arg);
}

static int on_sector_size(sqlite3_file *file)
{
    return real_file(file)->pMethods->xSectorSize(real_file(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

static int on_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_file(file)->pMethods->xShmMap(real_file(file), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_file(file)->pMethods->xShmLock(real_file(file), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    real_file(file)->pMethods->xShmBarrier(real_file(file));
}

static int on_shm_unmap(sqlite3_file *file, int remove)
{
    return real_file(file)->pMethods->xShmUnmap(real_file(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    int status = below->xOpen(below, name, real_file(file), flags, out);
    file->pMethods = real_file(file)->pMethods == NULL ? NULL : &methods;
    return status;
}

void store_files_set_fault(enum disk_fault fault)
{
    static sqlite3_vfs faulty;
    if (below == NULL) {
        below = sqlite3_vfs_find(NULL);
        faulty = *below;
        faulty.zName = "faulty";
        faulty.szOsFile = (int)sizeof(struct faulty_file) + below->szOsFile;
        faulty.xOpen = on_open;
        sqlite3_vfs_register(&faulty, 1);
    }
    fault_now = fault;
}
