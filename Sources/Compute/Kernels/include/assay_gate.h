#pragma once
// A lock with a condition: what waits for somebody else's message. Kernels have no use for it; stages of a pipeline do.
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
