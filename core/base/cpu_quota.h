/* cpu_quota.h - how many threads this process may really keep busy.
 *
 * A container with two CPUs of quota on a host with 64 must not start 64 threads: the kernel would
 * throttle them all. Thread: any. */
#ifndef CORE_BASE_CPU_QUOTA_H
#define CORE_BASE_CPU_QUOTA_H

/* The least of the affinity mask and the cgroup v2 cpu.max quotas on the way to the root, rounded
 * up; at least 1. */
int cpu_quota_threads(void);

/* The same from the text of one cpu.max file ("max 100000", "150000 100000"): 0 for no limit or
 * for text that is not understood. */
int cpu_quota_parse(const char *cpu_max);

#endif
