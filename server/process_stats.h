/* process_stats.h - what the kernel says about this process. Thread: any. */
#ifndef SERVER_PROCESS_STATS_H
#define SERVER_PROCESS_STATS_H

#include <stdint.h>

struct process_stats {
    double cpu_seconds; /* user and system, all threads */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    int n_threads;
    int n_open_files;
    uint64_t max_open_files;
};

/* What cannot be learnt stays 0. */
void process_stats_read(struct process_stats *out);

#endif
