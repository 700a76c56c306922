// The matrix product: acc = fma(a[k], b[k], acc) for k = 0, 1, … — the loops may stand in any order that keeps each element's own.
#include "kernels.h"

void reference_matmul(assay_orientation orientation, long m, long n, long k, const float *a, long lda, const float *b, long ldb,
                      float *c, long ldc, bool accumulate, float *scratch) {
    (void)scratch;
    for (long i = 0; i < m; i++) {
        float *row = c + i * ldc;
        if (!accumulate) for (long j = 0; j < n; j++) row[j] = 0.0f;
        if (orientation == ASSAY_NT) {
            long j = 0;
            for (; j + 8 <= n; j += 8) {                        // eight elements abreast, since one chain alone waits for itself
                float sums[8];
                for (int e = 0; e < 8; e++) sums[e] = row[j + e];
                for (long p = 0; p < k; p++)
                    for (int e = 0; e < 8; e++) sums[e] = fused(a[i * lda + p], b[(j + e) * ldb + p], sums[e]);
                for (int e = 0; e < 8; e++) row[j + e] = sums[e];
            }
            for (; j < n; j++)
                for (long p = 0; p < k; p++) row[j] = fused(a[i * lda + p], b[j * ldb + p], row[j]);
            continue;
        }
        for (long p = 0; p < k; p++) {
            float left = orientation == ASSAY_TN ? a[p * lda + i] : a[i * lda + p];
            for (long j = 0; j < n; j++) row[j] = fused(left, b[p * ldb + j], row[j]);
        }
    }
}
ASSAY_REFERENCE_END
