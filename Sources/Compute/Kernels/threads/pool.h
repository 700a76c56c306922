#pragma once
#include "../internal/exact.h"

/// Runs `work(context, part, scratch)` for each part below `parts`, on all threads of the pool, and returns when all are done.
void assay_pool_run(assay_pool *pool, long parts, void (*work)(void *context, long part, float *scratch), void *context);

/// Where part `part` of `parts` begins when `count` things are split in multiples of `unit`.
static inline long part_start(long count, long parts, long part, long unit) {
    long units = (count + unit - 1) / unit, start = units * part / parts * unit;
    return start < count ? start : count;
}
