#section support_code
/*
 * Vectors as wide as the CPU's, and functions of them; `fused` of numbers is that of elementwise.c.
 */
namespace fdrnn {

#ifndef FDRNN_VECTOR_BYTES
#if defined __AVX512F__
#define FDRNN_VECTOR_BYTES 64
#elif defined __AVX__
#define FDRNN_VECTOR_BYTES 32
#else
#define FDRNN_VECTOR_BYTES 16
#endif
#endif

#define FDRNN_INLINE inline __attribute__((always_inline))
#define FDRNN_UNROLL _Pragma("GCC unroll 16")

/* GCC reads operands from memory again for each use, unless it must have them in a register. */
#if defined __AVX512F__ || defined __AVX__ && FDRNN_VECTOR_BYTES <= 32 || \
    defined __SSE2__ && FDRNN_VECTOR_BYTES == 16
#define FDRNN_IN_REGISTER(v) asm("" : "+x"(v))
#else
#define FDRNN_IN_REGISTER(v)
#endif

template <typename real>
struct Vector {
    static constexpr int lanes = FDRNN_VECTOR_BYTES / sizeof(real);
    typedef real type __attribute__((vector_size(FDRNN_VECTOR_BYTES)));
};

/* The functions of vectors are written by lanes, and compile to one instruction. */
template <typename real>
FDRNN_INLINE typename Vector<real>::type fused(typename Vector<real>::type a,
                                               typename Vector<real>::type b,
                                               typename Vector<real>::type c) {
    typename Vector<real>::type out;
    FDRNN_UNROLL
    for (int l = 0; l < Vector<real>::lanes; ++l) out[l] = fused(a[l], b[l], c[l]);
    return out;
}
template <typename real>
FDRNN_INLINE typename Vector<real>::type repeated(real x) {
    typename Vector<real>::type out;
    FDRNN_UNROLL
    for (int l = 0; l < Vector<real>::lanes; ++l) out[l] = x;
    return out;
}
template <typename real>
FDRNN_INLINE typename Vector<real>::type loaded(const real *at) {
    typename Vector<real>::type out;
    memcpy(&out, at, sizeof out);
    FDRNN_IN_REGISTER(out);
    return out;
}

}  // namespace fdrnn
