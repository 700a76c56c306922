#pragma once
// A lock with a condition, and a thread of one's own: stages of a pipeline wait for each other's messages. Kernels have no use for either.
#include <stdbool.h>

typedef struct assay_gate assay_gate;
assay_gate *assay_gate_create(void);
void assay_gate_destroy(assay_gate *gate);
void assay_gate_lock(assay_gate *gate);
void assay_gate_unlock(assay_gate *gate);
/// Waits, with the lock given up meanwhile, until somebody calls `assay_gate_wake` or the time is over; false if it is over.
bool assay_gate_wait(assay_gate *gate, double seconds);
/// Wakes all who wait.
void assay_gate_wake(assay_gate *gate);

/// Runs `work` on a thread with room for kernels on its stack; null if there is none to be had.
typedef struct assay_thread assay_thread;
assay_thread *assay_thread_start(void (*work)(void *), void *context);
/// Waits for its end, and frees it.
void assay_thread_join(assay_thread *thread);
