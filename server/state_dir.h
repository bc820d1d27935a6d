/* state_dir.h - the folder that outlives the daemon, for one daemon at a time.
 *
 * What lies in it: sinkd.db, the store's; kv/, the engine's. Owner: the daemon. Thread: main. */
#ifndef SERVER_STATE_DIR_H
#define SERVER_STATE_DIR_H

#include <stdbool.h>

struct err;
struct state_dir;

/* Makes the folder if its parent is there, readable by its owner alone, and locks it. ERR_IO when
 * it cannot be used, or when another daemon still uses it after three seconds. */
bool state_dir_open(struct state_dir **out, const char *path, struct err *err);
void state_dir_close(struct state_dir **dir);

/* The path of a file in it; false when that is too long. */
bool state_dir_file(const struct state_dir *dir, const char *name, char *out, int max,
                    struct err *err);

#endif
