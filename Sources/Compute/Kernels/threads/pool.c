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
    uint64_t job;
    int busy, named;
    bool stopping;
    void (*work)(void *, long, float *);
    void *context;
    long parts;
    atomic_long next;
};

static void take_parts(assay_pool *pool, float *scratch) {
    for (;;) {
        long part = atomic_fetch_add(&pool->next, 1);
        if (part >= pool->parts) return;
        pool->work(pool->context, part, scratch);
    }
}

static void *worker(void *argument) {
    assay_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    float *scratch = pool->scratch[++pool->named];
    uint64_t done = 0;
    for (;;) {
        while (pool->job == done && !pool->stopping) pthread_cond_wait(&pool->begin, &pool->lock);
        if (pool->stopping) break;
        done = pool->job;
        pthread_mutex_unlock(&pool->lock);
        uint64_t before = assay_float_environment_enter();
        take_parts(pool, scratch);
        if (!assay_float_environment_leave(before)) abort();
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) pthread_cond_signal(&pool->end);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
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
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
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
    pthread_mutex_lock(&pool->lock);
    pool->work = work;
    pool->context = context;
    pool->parts = parts;
    atomic_store(&pool->next, 0);
    pool->busy = pool->threads - 1;
    pool->job++;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    take_parts(pool, pool->scratch[0]);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0) pthread_cond_wait(&pool->end, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
