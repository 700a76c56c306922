#include "CAllocations.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__GLIBC__)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static __thread long held, peak, limit;
static __thread int counting;

static void take(void *memory) {
    if (!counting || !memory) return;
    held += (long)malloc_usable_size(memory);
    if (held <= peak) return;
    peak = held;
    if (peak > limit) {
        static const char said[] = "\nallocations: a thread holds more than its limit\n";
        counting = 0;
        if (write(2, said, sizeof said - 1) < 0) { }
        abort();
    }
}
/* Refused before the C library is asked, so that a size without end aborts here too. */
static void foresee(size_t bytes) {
    if (counting && bytes < (size_t)1 << 62 && held + (long)bytes > limit) {
        static const char said[] = "\nallocations: a thread asks for more than its limit\n";
        counting = 0;
        if (write(2, said, sizeof said - 1) < 0) { }
        abort();
    }
}
static void give(void *memory) {
    if (counting && memory) held -= (long)malloc_usable_size(memory);
}

void *malloc(size_t bytes) {
    foresee(bytes);
    void *memory = __libc_malloc(bytes);
    take(memory);
    return memory;
}
void *calloc(size_t count, size_t bytes) {
    void *memory = __libc_calloc(count, bytes);
    take(memory);
    return memory;
}
void *realloc(void *old, size_t bytes) {
    foresee(bytes);
    long before = old && counting ? (long)malloc_usable_size(old) : 0;
    void *memory = __libc_realloc(old, bytes);
    if (memory || bytes == 0) held -= counting ? before : 0;
    take(memory);
    return memory;
}
void *memalign(size_t alignment, size_t bytes) {
    foresee(bytes);
    void *memory = __libc_memalign(alignment, bytes);
    take(memory);
    return memory;
}
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **out, size_t alignment, size_t bytes) {
    void *memory = memalign(alignment, bytes);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}
void free(void *memory) {
    give(memory);
    __libc_free(memory);
}

int allocations_are_counted(void) { return 1; }
long allocations_held(void) { return held; }
void allocations_begin(size_t most) {
    held = peak = 0;
    limit = (long)most;
    counting = 1;
}
size_t allocations_end(void) {
    counting = 0;
    return (size_t)peak;
}

#else

int allocations_are_counted(void) { return 0; }
long allocations_held(void) { return 0; }
void allocations_begin(size_t most) { (void)most; }
size_t allocations_end(void) { return 0; }

#endif
