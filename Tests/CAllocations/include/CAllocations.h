#ifndef ASSAY_ALLOCATIONS_H
#define ASSAY_ALLOCATIONS_H
#include <stddef.h>

/* What the calling thread holds of the heap beyond what it held at the start, at the most; and a limit that ends the process.
 * Counts only where the C library is glibc: elsewhere `allocations_are_counted` is 0 and every answer is 0. */
int allocations_are_counted(void);
/* From here on the thread's allocations count. Above `limit` bytes the process says so and aborts, before the machine runs out. */
void allocations_begin(size_t limit);
/* What is held now beyond what was held at the beginning; below zero if more was given back. */
long allocations_held(void);
/* The highest number of bytes held since the beginning. */
size_t allocations_end(void);

#endif
