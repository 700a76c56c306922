// A pool that splits a job into parts. Which thread runs a part, or when, cannot be seen in the result: each part owns its outputs.
#include "pool.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct assay_pool {
    int threads;
    pthread_t *workers;
    float **scratch;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    /// The job's number above, the parts that nobody has taken yet below: whoever takes one can only take it from the job that is running, and
    /// that job cannot end before the part is done. So a worker that comes late, or never, holds nobody up.
    _Atomic uint64_t open;
    atomic_long unfinished;                                     // parts that are not done
    atomic_int asleep;                                          // workers that must be woken
    atomic_bool callerAsleep, stopping;
    int named;
    void (*work)(void *, long, float *);
    void *context;
};

/// A step has hundreds of jobs, microseconds apart, and waking a sleeper takes longer than that. So who waits looks about this often first,
/// some tens of microseconds, and sleeps only then: between steps and when idle nobody burns a core.
enum { LOOKS = 1 << 11 };
static inline void look_again(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static inline uint32_t parts_left(uint64_t open) { return (uint32_t)open; }

static void signal_under_lock(assay_pool *pool, pthread_cond_t *condition) {
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(condition);
    pthread_mutex_unlock(&pool->lock);
}

static void take_parts(assay_pool *pool, float *scratch) {
    uint64_t open = atomic_load(&pool->open);
    while (parts_left(open) > 0) {
        if (!atomic_compare_exchange_weak(&pool->open, &open, open - 1)) continue;
        pool->work(pool->context, (long)parts_left(open) - 1, scratch);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->callerAsleep)) signal_under_lock(pool, &pool->end);
        open = atomic_load(&pool->open);
    }
}

static bool has_work(assay_pool *pool) { return parts_left(atomic_load(&pool->open)) > 0 || atomic_load(&pool->stopping); }

/// Either a sleeper is counted before a job opens, and is woken; or it sees the open parts when it looks for the last time.
static void await_work(assay_pool *pool) {
    for (int i = 0; i < LOOKS; i++) {
        if (has_work(pool)) return;
        look_again();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (!has_work(pool)) pthread_cond_wait(&pool->begin, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void await_end(assay_pool *pool) {
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&pool->unfinished) == 0) return;
        look_again();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->callerAsleep, true);
    while (atomic_load(&pool->unfinished) > 0) pthread_cond_wait(&pool->end, &pool->lock);
    atomic_store(&pool->callerAsleep, false);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *argument) {
    assay_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    float *scratch = pool->scratch[++pool->named];
    pthread_mutex_unlock(&pool->lock);
    for (;;) {
        await_work(pool);
        if (atomic_load(&pool->stopping)) return NULL;
        uint64_t before = assay_float_environment_enter();
        take_parts(pool, scratch);
        if (!assay_float_environment_leave(before)) abort();
    }
}

static void *allocate(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) abort();
    return memory;
}

assay_pool *assay_pool_create(int threads) {
    if (threads < 1) threads = 1;
    if (threads > 256) threads = 256;
    assay_pool *pool = calloc(1, sizeof *pool);
    if (!pool) abort();
    pool->workers = allocate(sizeof(pthread_t) * (size_t)threads);
    pool->scratch = allocate(sizeof(float *) * (size_t)threads);
    for (int i = 0; i < threads; i++) pool->scratch[i] = allocate(sizeof(float) * ASSAY_SCRATCH_FLOATS);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    pool->threads = 1;
    while (pool->threads < threads && pthread_create(&pool->workers[pool->threads], NULL, worker, pool) == 0) pool->threads++;
    for (int i = pool->threads; i < threads; i++) free(pool->scratch[i]);
    return pool;
}

void assay_pool_destroy(assay_pool *pool) {
    atomic_store(&pool->stopping, true);
    signal_under_lock(pool, &pool->begin);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i], NULL);
    for (int i = 0; i < pool->threads; i++) free(pool->scratch[i]);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    free(pool->workers);
    free(pool->scratch);
    free(pool);
}

int assay_pool_threads(const assay_pool *pool) { return pool->threads; }

void assay_pool_run(assay_pool *pool, long parts, void (*work)(void *, long, float *), void *context) {
    if (pool->threads == 1 || parts <= 1) {
        for (long part = 0; part < parts; part++) work(context, part, pool->scratch[0]);
        return;
    }
    pool->work = work;
    pool->context = context;
    atomic_store(&pool->unfinished, parts);
    uint64_t number = (atomic_load(&pool->open) >> 32) + 1;
    atomic_store(&pool->open, number << 32 | (uint64_t)parts);
    if (atomic_load(&pool->asleep) > 0) signal_under_lock(pool, &pool->begin);
    take_parts(pool, pool->scratch[0]);
    await_end(pool);
}
