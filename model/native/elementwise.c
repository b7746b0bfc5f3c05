#section support_code
/*
 * Elementary functions and sums, vectorisable, with the same bits on every machine: each operation
 * is one that IEEE 754 rounds correctly, and what is fused is written so. Compilers must not fuse
 * more (-ffp-contract=off), nor reorder sums.
 *
 * Single precision, that of training, has its own polynomials; double precision, that of tests,
 * takes the C library's functions. Error bounds are in units in the last place (ulp). NaN stays.
 */
#include <cmath>
#include <cstring>

namespace fdrnn {

/* a b + c, rounded once. */
inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

/*
 * e^x = 2^n (1 + rest) for |x| <= 87.6: x = n ln 2 + r, |r| <= ln 2 / 2, rest = e^r - 1 by its
 * Taylor polynomial. The constant 1.5 2^23 leaves n in the last bits of its sum.
 */
struct Exponential {
    float power, rest;
    explicit inline Exponential(float x) {
        const float t = fused(x, 1.44269504f, 12582912.0f), n = t - 12582912.0f;
        const float r = fused(n, 1.9046543e-9f, fused(n, -0.693147182f, x));
        float q = 1.0f / 5040.0f;
        q = fused(q, r, 1.0f / 720.0f);
        q = fused(q, r, 1.0f / 120.0f);
        q = fused(q, r, 1.0f / 24.0f);
        q = fused(q, r, 1.0f / 6.0f);
        q = fused(q, r, 0.5f);
        rest = fused(r * r, q, r);
        unsigned bits;
        memcpy(&bits, &t, sizeof bits);
        bits = (bits + 127u) << 23;
        memcpy(&power, &bits, sizeof power);
    }
};

/* e^x for x clamped to [-87, 88]; 1.5 ulp. */
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const Exponential e(x);
    return fused(e.power, e.rest, e.power);
}
inline double exponential(double x) { return std::exp(x); }

/*
 * The logistic function at x, sig(x) = 1 / (1 + e^-x), and what it is beside a half,
 * 2 sig(x) - 1 = tanh(x / 2), which is as precise near 0: 3.5 ulp each. With E = e^-|x| - 1 they are
 * 1 / (2 + E), or its complement, and -E / (2 + E).
 */
template <typename real>
struct Logistic;
template <>
struct Logistic<float> {
    float sigmoid, centred;
    explicit inline Logistic(float x) {
        float size = __builtin_fabsf(x);
        size = size > 87.0f ? 87.0f : size;
        const Exponential e(-size);
        const float E = fused(e.power, e.rest, e.power - 1.0f);
        const float scale = 1.0f / (2.0f + E);
        sigmoid = (x < 0.0f ? fused(e.power, e.rest, e.power) : 1.0f) * scale;
        centred = __builtin_copysignf(E * scale, x);
    }
};
template <>
struct Logistic<double> {
    double sigmoid, centred;
    explicit inline Logistic(double x)
        : sigmoid(1 / (1 + std::exp(-x))), centred(std::tanh(0.5 * x)) {}
};

template <typename real>
inline real sigmoid(real x) {
    return Logistic<real>(x).sigmoid;
}

template <typename real>
inline real hyperbolic_tangent(real x) {
    return Logistic<real>(real(2) * x).centred;
}

/*
 * log(1 + e^x) = max(x, 0) + log(1 + e^-|x|); 4 ulp. The logarithm of y in (1, 2] is
 * 2 artanh(w), w = (y - 1) / (y + 1) <= 1/3, by its series.
 */
inline float softplus(float x) {
    const float e = exponential(-__builtin_fabsf(x));
    const float w = e / (2.0f + e), q = w * w;
    float s = 1.0f / 13.0f;
    s = fused(s, q, 1.0f / 11.0f);
    s = fused(s, q, 1.0f / 9.0f);
    s = fused(s, q, 1.0f / 7.0f);
    s = fused(s, q, 1.0f / 5.0f);
    s = fused(s, q, 1.0f / 3.0f);
    s = fused(s, q, 1.0f);
    return fused(2.0f * w, s, x < 0.0f ? 0.0f : x);
}
inline double softplus(double x) { return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x))); }

/*
 * log x = e ln 2 + log m for x = 2^e m, m in [sqrt(1/2), sqrt(2)), and log m = 2 artanh(w) by its
 * series, w = (m - 1) / (m + 1); 2 ulp. -inf at 0, NaN below.
 */
inline float logarithm(float x) {
    const bool tiny = x < 1.17549435e-38f;
    const float scaled = tiny ? x * 8388608.0f : x;
    int bits;
    memcpy(&bits, &scaled, sizeof bits);
    /* sqrt(1/2); unsigned, because below 0 the difference is no int */
    const int above = (int)((unsigned)bits - 0x3f3504f3u);
    const float e = (float)((above >> 23) - (tiny ? 23 : 0));
    bits = (above & 0x007fffff) + 0x3f3504f3;
    float m;
    memcpy(&m, &bits, sizeof m);
    const float w = (m - 1.0f) / (m + 1.0f), q = w * w;
    float s = 1.0f / 11.0f;
    s = fused(s, q, 1.0f / 9.0f);
    s = fused(s, q, 1.0f / 7.0f);
    s = fused(s, q, 1.0f / 5.0f);
    s = fused(s, q, 1.0f / 3.0f);
    const float of_m = 2.0f * fused(w * q, s, w);
    float y = fused(e, 0.693147182f, fused(e, -1.9046543e-9f, of_m));
    y = x == 0.0f ? -__builtin_inff() : y;
    y = x > 3.40282347e38f ? x : y;
    return x >= 0.0f ? y : x < 0.0f ? __builtin_nanf("") : x;
}
inline double logarithm(double x) { return std::log(x); }

/*
 * The sum of term(i) for i < n: 16 sums, of every 16th term each, which are then added in pairs.
 */
template <typename real, typename Term>
inline real sum_of(npy_intp n, Term term) {
    const int lanes = 16;
    real sums[lanes] = {};
    npy_intp i = 0;
    for (; i + lanes <= n; i += lanes) {
#pragma GCC ivdep
        for (int l = 0; l < lanes; ++l) sums[l] += term(i + l);
    }
    for (int l = 0; i + l < n; ++l) sums[l] += term(i + l);
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
    return sums[0];
}

}  // namespace fdrnn
