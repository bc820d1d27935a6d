#include "server/memory_budget.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

enum { GROUP_MAX = 4096 };

static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;
}

/* The limit in one memory.max file; UINT64_MAX for none. */
static uint64_t read_limit(const char *group)
{
    char path[GROUP_MAX + 64];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
    FILE *file = fopen(path, "re");
    unsigned long long limit = UINT64_MAX;
    if (file != NULL) {
        if (fscanf(file, "%llu", &limit) != 1) /* "max" */
            limit = UINT64_MAX;
        fclose(file);
    }
    return limit;
}

/* The least limit of our cgroup (v2: "0::/a/b") and those above it. */
static uint64_t cgroup_bytes(void)
{
    char group[GROUP_MAX] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file != NULL) {
        if (fscanf(file, "0::%4095s", group) != 1)
            group[0] = '\0';
        fclose(file);
    }
    uint64_t least = UINT64_MAX;
    for (;;) {
        uint64_t limit = read_limit(group);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

size_t memory_budget_for_sessions(size_t model_bytes)
{
    uint64_t bytes = machine_bytes(), limit = cgroup_bytes();
    if (limit < bytes)
        bytes = limit;
    return bytes > model_bytes ? (size_t)((bytes - model_bytes) / 2) : 0;
}

size_t memory_budget_file_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_size > 0 ? (size_t)info.st_size : 0;
}
