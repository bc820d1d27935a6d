/* panel_amx.h - a panel and 16 tokens by the matrix unit of Intel's server CPUs (AMX INT8).
 *
 * A panel is laid out as the unit wants it: a word of 16 rows is a row of its right-hand tile.
 * Private to core/kernels. Thread: any; a tile's shape belongs to the thread that set it. */
#ifndef CORE_KERNELS_PANEL_AMX_H
#define CORE_KERNELS_PANEL_AMX_H

struct matmul_job;
struct panel_task;

/* Before and after a thread's tasks. */
void panel_amx_begin(void);
void panel_amx_end(void);

/* Of a type with one scale for each group: where halves of groups have their own, the vectors would
 * have as much to do as without the unit. */
void panel_amx(const struct matmul_job *job, const struct panel_task *task);

#endif
