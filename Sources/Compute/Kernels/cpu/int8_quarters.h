// Sixteen lanes as four registers of AArch64, each by `four_sums`.
INLINE i16 integer_dot(i16 sums, i16 left, i16 right) {
    int32x4_t s[4];
    int8x16_t l[4], r[4];
    memcpy(s, &sums, sizeof s);
    memcpy(l, &left, sizeof l);
    memcpy(r, &right, sizeof r);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) s[i] = four_sums(s[i], l[i], r[i]);
    memcpy(&sums, s, sizeof s);
    return sums;
}
INLINE i16 column_sums(i16 sums, u16 words) { (void)words; return sums; }
