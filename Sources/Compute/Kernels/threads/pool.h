#pragma once
#include "../internal/exact.h"

/// Runs `work(context, part, scratch)` for each part below `parts`, on all threads of the pool, and returns when all are done.
void assay_pool_run(assay_pool *pool, long parts, void (*work)(void *context, long part, float *scratch), void *context);

/// Where part `part` of `parts` begins when `count` things are split in multiples of `unit`.
static inline long part_start(long count, long parts, long part, long unit) {
    long units = (count + unit - 1) / unit, start = units * part / parts * unit;
    return start < count ? start : count;
}

/// Splitting less than this many outputs costs more than it saves.
enum { ASSAY_LEAST_PART = 1 << 12 };
static inline long parts_of(assay_pool *pool, long outputs) { return outputs < 2 * ASSAY_LEAST_PART ? 1 : assay_pool_threads(pool); }
