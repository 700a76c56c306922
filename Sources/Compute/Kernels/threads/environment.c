// Which paths this machine has, and the float environment that they all need.
#include "../internal/exact.h"
#include <stdlib.h>

const char *assay_kernels_wanted(void) { return getenv("ASSAY_KERNELS"); }

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool runs(assay_path path) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    bool fma = c >> 12 & 1, saves = c >> 27 & 1;
    if (!fma || !saves || (saved_registers() & 6) != 6) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    bool avx2 = b >> 5 & 1;
    bool avx512 = (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1) && (saved_registers() & 0xe6) == 0xe6;
    switch (path) {
    case ASSAY_REFERENCE: case ASSAY_AVX2: return avx2;
    case ASSAY_AVX512: return avx2 && avx512;
    default: return false;
    }
}

const assay_kernels *assay_kernels_of(assay_path path) {
    if (!runs(path)) return NULL;
    return path == ASSAY_REFERENCE ? &assay_kernels_reference : path == ASSAY_AVX2 ? &assay_kernels_avx2 : &assay_kernels_avx512;
}

bool assay_machine_supported(void) { return runs(ASSAY_AVX2); }

double assay_peak_run(assay_path path, long iterations) {
    if (!runs(path)) return 0;
    return path == ASSAY_AVX512 ? assay_peak_avx512(iterations) : assay_peak_avx2(iterations);
}

// 0x1F80: all exceptions masked, round to nearest, neither flush-to-zero nor denormals-are-zero. The low six bits are flags.
uint64_t assay_float_environment_enter(void) {
    uint64_t before = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return before;
}

bool assay_float_environment_leave(uint64_t before) {
    bool kept = (_mm_getcsr() & ~0x3Fu) == 0x1F80;
    _mm_setcsr((uint32_t)before);
    return kept;
}

#elif defined(__aarch64__)

const assay_kernels *assay_kernels_of(assay_path path) {
    return path == ASSAY_REFERENCE ? &assay_kernels_reference : path == ASSAY_NEON ? &assay_kernels_neon : NULL;
}

bool assay_machine_supported(void) { return true; }
double assay_peak_run(assay_path path, long iterations) { return path == ASSAY_NEON ? assay_peak_neon(iterations) : 0; }

uint64_t assay_float_environment_enter(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return before;
}

bool assay_float_environment_leave(uint64_t before) {
    uint64_t now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
    return now == 0;
}

#else
#error "Assay's kernels need x86-64 with FMA3 and AVX2, or AArch64"
#endif
