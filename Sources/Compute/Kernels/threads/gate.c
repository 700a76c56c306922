// See assay_gate.h. Time is the monotonic clock's, so that a clock set back lets nobody wait for longer.
#include "../include/assay_gate.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct assay_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

assay_gate *assay_gate_create(void) {
    assay_gate *gate = calloc(1, sizeof *gate);
    if (!gate) abort();
    pthread_mutex_init(&gate->lock, NULL);
#if defined(__APPLE__)
    pthread_cond_init(&gate->changed, NULL);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->changed, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
    return gate;
}

void assay_gate_destroy(assay_gate *gate) {
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

void assay_gate_lock(assay_gate *gate) { pthread_mutex_lock(&gate->lock); }
void assay_gate_unlock(assay_gate *gate) { pthread_mutex_unlock(&gate->lock); }
void assay_gate_wake(assay_gate *gate) { pthread_cond_broadcast(&gate->changed); }

bool assay_gate_wait(assay_gate *gate, double seconds) {
    double most = seconds > 1e6 ? 1e6 : seconds < 0 ? 0 : seconds;
    struct timespec end = {.tv_sec = (time_t)most};
    end.tv_nsec = (long)((most - (double)end.tv_sec) * 1e9);
#if defined(__APPLE__)
    return pthread_cond_timedwait_relative_np(&gate->changed, &gate->lock, &end) != ETIMEDOUT;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    end.tv_sec += now.tv_sec;
    end.tv_nsec += now.tv_nsec;
    if (end.tv_nsec >= 1000000000L) end.tv_sec++, end.tv_nsec -= 1000000000L;
    return pthread_cond_timedwait(&gate->changed, &gate->lock, &end) != ETIMEDOUT;
#endif
}

struct assay_thread {
    pthread_t handle;
    void (*work)(void *);
    void *context;
};

static void *run(void *argument) {
    assay_thread *thread = argument;
    thread->work(thread->context);
    return NULL;
}

assay_thread *assay_thread_start(void (*work)(void *), void *context) {
    assay_thread *thread = calloc(1, sizeof *thread);
    if (!thread) abort();
    thread->work = work;
    thread->context = context;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8u << 20);
    int failed = pthread_create(&thread->handle, &attributes, run, thread);
    pthread_attr_destroy(&attributes);
    if (!failed) return thread;
    free(thread);
    return NULL;
}

void assay_thread_join(assay_thread *thread) {
    pthread_join(thread->handle, NULL);
    free(thread);
}
