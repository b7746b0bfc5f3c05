#section support_code
/*
 * Moments of one value through a transfer function, and their derivatives, to be inlined into
 * the kernels' loops; see moments.py for the equations.
 */
namespace fdrnn {

template <typename real>
struct Moments {
    real mean, variance;
};

/* The logistic sigmoid of a Gaussian (m, v), with its mean beside a half as in elementwise.c. */
template <typename real>
struct LogisticMoments {
    real mean, centred, variance;
    inline LogisticMoments(real m, real v) {
        typedef SigmoidMoments<real> K;
        real k1 = real(1) / std::sqrt(real(1) + K::c * v);
        real k2 = real(1) / std::sqrt(real(1) + K::c * K::alpha * K::alpha * v);
        const Logistic<real> e1(m * k1);
        real e2 = sigmoid(K::alpha * (m - K::beta) * k2);
        real z = e2 - e1.sigmoid * e1.sigmoid;
        mean = e1.sigmoid;
        centred = e1.centred;
        variance = z < real(0) ? real(0) : z;
    }
};
template <typename real>
inline Moments<real> moments_of_sigmoid(real m, real v) {
    const LogisticMoments<real> y(m, v);
    return {y.mean, y.variance};
}

/* tanh(x) = 2 sig(2 x) - 1. */
template <typename real>
inline Moments<real> moments_of_tanh(real m, real v) {
    const LogisticMoments<real> y(real(2) * m, real(4) * v);
    return {y.centred, real(4) * y.variance};
}

/*
 * Gradients (of m, of v) from those of the moments y = moments_of_sigmoid(m, v); no exp is needed.
 * Where the variance was floored at 0 its gradient is 0.
 */
template <typename real>
inline Moments<real> gradient_of_sigmoid(real m, real v, Moments<real> y, Moments<real> dy) {
    typedef SigmoidMoments<real> K;
    const real c2 = K::c * K::alpha * K::alpha;
    real k1 = real(1) / std::sqrt(real(1) + K::c * v);
    real k2 = real(1) / std::sqrt(real(1) + c2 * v);
    real e1 = y.mean, e2 = y.variance + e1 * e1;
    real dz = y.variance > real(0) ? dy.variance : real(0);
    real g1 = (dy.mean - real(2) * e1 * dz) * e1 * (real(1) - e1) * k1;
    real g2 = dz * e2 * (real(1) - e2) * k2;
    real u = K::alpha * (m - K::beta);
    Moments<real> d = {g1 + K::alpha * g2,
                       real(-0.5) * (g1 * m * K::c * k1 * k1 + g2 * u * c2 * k2 * k2)};
    return d;
}

template <typename real>
inline Moments<real> gradient_of_tanh(real m, real v, Moments<real> y, Moments<real> dy) {
    Moments<real> half = {real(0.5) * y.mean + real(0.5), real(0.25) * y.variance};
    Moments<real> dhalf = {real(2) * dy.mean, real(4) * dy.variance};
    Moments<real> d = gradient_of_sigmoid(real(2) * m, real(4) * v, half, dhalf);
    d.mean *= real(2);
    d.variance *= real(4);
    return d;
}

/* x y of independent variables: E = E[x] E[y], V = V[x] V[y] + V[x] E[y]^2 + V[y] E[x]^2. */
template <typename real>
inline Moments<real> times(Moments<real> x, Moments<real> y) {
    Moments<real> z = {x.mean * y.mean, x.variance * (y.variance + y.mean * y.mean) +
                                            y.variance * x.mean * x.mean};
    return z;
}

/* Gradient of x from that of z = times(x, y). */
template <typename real>
inline Moments<real> times_gradient(Moments<real> x, Moments<real> y, Moments<real> dz) {
    Moments<real> dx = {dz.mean * y.mean + real(2) * x.mean * y.variance * dz.variance,
                        dz.variance * (y.variance + y.mean * y.mean)};
    return dx;
}

}  // namespace fdrnn
