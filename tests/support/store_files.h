/* store_files.h - a database in a folder of its own, on a disk that fails when it is told to. */
#ifndef TESTS_SUPPORT_STORE_FILES_H
#define TESTS_SUPPORT_STORE_FILES_H

#include <stdbool.h>

enum disk_fault {
    DISK_IS_WELL,
    DISK_FAILS_WRITES, /* SQLITE_IOERR_WRITE */
    DISK_FAILS_SYNCS,  /* SQLITE_IOERR_FSYNC */
    DISK_IS_FULL,      /* SQLITE_FULL */
};

/* A path for a database, in a new folder. */
const char *store_files_make(void);
/* Removes the folder and what SQLite puts into it. */
void store_files_remove(void);

/* From the first call on, all databases that are opened lie on such a disk. */
void store_files_set_fault(enum disk_fault fault);

/* True when any file of the database holds this text. */
bool store_files_hold(const char *text);

#endif
