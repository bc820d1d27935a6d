#include "server/process_stats.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* proc(5), /proc/self/stat: the name in parentheses may hold anything, so reading begins after the
 * last one. */
static void read_stat(struct process_stats *out)
{
    char line[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return;
    const char *rest = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    unsigned long long user, system, virtual_bytes;
    long n_threads, n_pages;
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d %*u "
               "%llu %ld",
               &user, &system, &n_threads, &virtual_bytes, &n_pages) != 5)
        return;
    out->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    out->n_threads = (int)n_threads;
    out->virtual_bytes = virtual_bytes;
    out->resident_bytes = (uint64_t)n_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int count_open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n > 0 ? n - 1 : 0; /* but for the folder itself */
}

void process_stats_read(struct process_stats *out)
{
    *out = (struct process_stats){.n_open_files = count_open_files()};
    read_stat(out);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->max_open_files = files.rlim_cur;
}
