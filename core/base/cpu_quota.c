#include "core/base/cpu_quota.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { GROUP_MAX = 4096 };

int cpu_quota_parse(const char *cpu_max)
{
    long long quota_us, period_us;
    if (sscanf(cpu_max, "%lld %lld", &quota_us, &period_us) != 2 || quota_us <= 0 || period_us <= 0)
        return 0;
    long long cpus = (quota_us - 1) / period_us + 1;
    return cpus > INT_MAX ? 0 : (int)cpus;
}

/* Reads the first line of a small file; false when there is none. */
static bool read_line(const char *path, char *line, int max)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = fgets(line, max, file) != NULL;
    fclose(file);
    return found;
}

/* The path of our cgroup v2 group ("0::/a/b"), or "" at the root or under cgroup v1. */
static void find_cgroup(char group[GROUP_MAX])
{
    group[0] = '\0';
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return;
    char line[GROUP_MAX];
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            memmove(group, line + 3, strlen(line + 3) + 1);
        }
    }
    fclose(file);
}

/* Inside a container the group's own path may not be mounted: the walk up simply finds no file
 * there and ends at the mount's root, which is the container's own group. */
static int cgroup_cpus(void)
{
    char group[GROUP_MAX];
    find_cgroup(group);

    int least = 0;
    for (;;) {
        char path[GROUP_MAX + 64], line[64];
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        int cpus = read_line(path, line, sizeof line) ? cpu_quota_parse(line) : 0;
        if (cpus > 0 && (least == 0 || cpus < least))
            least = cpus;

        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

int cpu_quota_threads(void)
{
    cpu_set_t set;
    int n_cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = cgroup_cpus();
    if (quota > 0 && quota < n_cpus)
        n_cpus = quota;
    return n_cpus > 0 ? n_cpus : 1;
}
