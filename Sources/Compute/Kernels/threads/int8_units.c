// Which integer units this machine has.
#include "../internal/int8.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/// Tiles are eight kilobytes more to save at each switch of threads, so the kernel wants to be asked; once, for all threads of the process.
static bool tiles_permitted(void) {
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return (saved_registers() >> 17 & 3) == 3 && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

static bool has(assay_path path, assay_integer_unit unit) {
    uint32_t a, b, c, d, a1, b1, c1, d1;
    if (unit == ASSAY_INTEGERS_PLAIN || unit == ASSAY_INTEGERS_TILES) return true;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) return false;
    if (unit == ASSAY_INTEGERS_VNNI) return path == ASSAY_AVX2 ? a1 >> 4 & 1 : c >> 11 & 1;
    return unit == ASSAY_INTEGERS_AMX && (d >> 24 & 1) && (d >> 25 & 1) && tiles_permitted();
}

const assay_int8_kernels *assay_int8_kernels_of(assay_path path, assay_integer_unit unit) {
    static const assay_int8_kernels *const tables[ASSAY_PATHS][ASSAY_INTEGER_UNITS] = {
        [ASSAY_REFERENCE] = {[ASSAY_INTEGERS_PLAIN] = &assay_int8_reference},
        [ASSAY_AVX2] = {[ASSAY_INTEGERS_PLAIN] = &assay_int8_avx2, [ASSAY_INTEGERS_VNNI] = &assay_int8_avx2_vnni},
        [ASSAY_AVX512] = {[ASSAY_INTEGERS_PLAIN] = &assay_int8_avx512, [ASSAY_INTEGERS_VNNI] = &assay_int8_avx512_vnni,
                          [ASSAY_INTEGERS_AMX] = &assay_int8_avx512_amx, [ASSAY_INTEGERS_TILES] = &assay_int8_avx512_tiles},
    };
    if (path >= ASSAY_PATHS || unit >= ASSAY_INTEGER_UNITS || !tables[path][unit]) return NULL;
    return assay_kernels_of(path) && has(path, unit) ? tables[path][unit] : NULL;
}

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#endif

static bool has_dot(void) {
#if defined(__ARM_FEATURE_DOTPROD) || defined(__APPLE__)
    return true;
#elif defined(__linux__)
    enum { HWCAP_DOT = 1 << 20 };
    return (getauxval(AT_HWCAP) & HWCAP_DOT) != 0;
#else
    return false;
#endif
}

const assay_int8_kernels *assay_int8_kernels_of(assay_path path, assay_integer_unit unit) {
    if (path == ASSAY_REFERENCE) return unit == ASSAY_INTEGERS_PLAIN ? &assay_int8_reference : NULL;
    if (path != ASSAY_NEON) return NULL;
    if (unit == ASSAY_INTEGERS_DOT) return has_dot() ? &assay_int8_neon_dot : NULL;
    return unit == ASSAY_INTEGERS_PLAIN ? &assay_int8_neon : NULL;
}
#endif
