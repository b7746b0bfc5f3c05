#section support_code
/* Density and distribution function of N(0, 1), vectorisable. */
namespace fdrnn {

/* Variances below it count as it where a deviation divides. */
const double SMALLEST_VARIANCE = 1e-12;

template <typename real>
inline real deviation(real variance) {
    const real least = (real)SMALLEST_VARIANCE;
    return std::sqrt(variance < least ? least : variance);
}

template <typename real>
inline real normal_density(real z) {
    return real(0.39894228040143268) * exponential(real(-0.5) * z * z);
}

/*
 * The distribution function at z, whose density is f; absolute error below 2e-7 in single
 * precision (Abramowitz and Stegun 1964, 7.1.26).
 */
inline float normal_distribution(float z, float f) {
    float x = (z < 0.0f ? -z : z) * 0.70710678f;
    float t = 1.0f / (1.0f + 0.3275911f * x);
    float tail = t * (0.254829592f +
                      t * (-0.284496736f +
                           t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    /* erfc(x) = tail e^{-x^2}, and e^{-x^2} = sqrt(2 pi) f; half of it is beyond |z|. */
    float beyond = 1.25331414f * f * tail;
    return z < 0.0f ? beyond : 1.0f - beyond;
}
inline double normal_distribution(double z, double) {
    return 0.5 * std::erfc(-0.70710678118654752 * z);
}

}  // namespace fdrnn
