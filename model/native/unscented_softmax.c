#section support_code
/*
 * The softmax of Gaussian activations by the unscented transform, and its gradient; equations in
 * softmax_unscented.py, of which the names are: n = D + k, distance d, log-odds l, argument x.
 *
 * Nothing is computed as a difference from 1: of the likeliest class (`top`) the complement is
 * the sum over the others, and that of each other one is at least a half.
 */
namespace fdrnn {

template <typename real>
struct Unscented {
    npy_intp D;
    real n, k;               /* D + k, and k itself */
    real *x, *d;             /* (D,) each */
    npy_intp target, top;    /* target is -1 where the row has no class */
    real of_all, of_others;  /* log sum exp of all means, and of all but that of top */
    real largest, total;     /* the weighted points' sum is exp(largest) total / (2 n) */

    Unscented(npy_intp D_, real *x_, real *d_)
        : D(D_), n(D_ > 3 ? real(D_) : real(3)), k(n - real(D_)), x(x_), d(d_) {}

    static real after(real x, real d) { return softplus(x) - softplus(x + d); }

    void read(const real *mean, const real *variance, const real *target_) {
        target = -1;
        top = 0;
        for (npy_intp j = 0; j < D; ++j) {
            if (target_[j] != real(0)) target = j;
            if (mean[j] > mean[top]) top = j;
        }
        const real most = mean[top];
        real second = mean[top == 0 && D > 1 ? 1 : 0];
        for (npy_intp j = 0; j < D; ++j)
            if (j != top && mean[j] > second) second = mean[j];
        real rest = 0, below_top = 0;
        for (npy_intp j = 0; j < D; ++j) {
            if (j == top) continue;
            rest += exponential(mean[j] - second);
            below_top += exponential(mean[j] - most);
        }
        of_others = second + logarithm(rest);
        of_all = most + logarithm(real(1) + below_top);
        for (npy_intp j = 0; j < D; ++j) {
            const real complement =
                j == top ? of_others
                         : most + logarithm(real(1) + (below_top - exponential(mean[j] - most)));
            const real odds = mean[j] - complement;
            x[j] = j == target ? -odds : odds;
            d[j] = std::sqrt(n * variance[j]);
        }
    }

    /* -log P; 0 where the row has no class. */
    real nll() {
        if (target < 0) return real(0);
        largest = 0;
        for (npy_intp j = 0; j < D; ++j) {
            const real below = after(x[j], -d[j]);
            largest = below > largest ? below : largest;
        }
        total = real(2) * k * exponential(-largest) + sum_of<real>(D, [this](npy_intp j) {
                    return exponential(after(x[j], d[j]) - largest) +
                           exponential(after(x[j], -d[j]) - largest);
                });
        return softplus(x[target]) - largest - logarithm(total / (real(2) * n));
    }

    /*
     * Derivative of log P by v_j. That of a pair of near points is a difference that cancels; it
     * is 4 (1 + e^x) sinh(x) sinh(d) s(x + d) s(x - d), s the derivative of the sigmoid.
     */
    real by_variance(npy_intp j) const {
        const real below = sigmoid(x[j] - d[j]);
        if (d[j] < real(1)) {
            const real q = d[j] * d[j];
            real sinhc = real(1) + q / real(110);
            sinhc = real(1) + q / real(72) * sinhc;
            sinhc = real(1) + q / real(42) * sinhc;
            sinhc = real(1) + q / real(20) * sinhc;
            sinhc = real(1) + q / real(6) * sinhc;
            const real ratios =
                exponential(after(-x[j], -d[j]) + after(x[j], d[j]) + after(x[j], -d[j])) * below;
            return n * exponential(-largest) / total * sinhc *
                   Logistic<real>(x[j]).centred * ratios;
        }
        return n / (real(2) * d[j]) / total *
               (exponential(after(x[j], -d[j]) - largest) * below -
                exponential(after(x[j], d[j]) - largest) * sigmoid(x[j] + d[j]));
    }

    /* Derivative of log P by the log-odds l_j. */
    real by_odds(npy_intp j) const {
        const real s = sigmoid(x[j]);
        real by_x = (exponential(after(x[j], d[j]) - largest) * (s - sigmoid(x[j] + d[j])) +
                     exponential(after(x[j], -d[j]) - largest) * (s - sigmoid(x[j] - d[j]))) /
                    total;
        return j == target ? s - by_x : by_x;
    }
};

}  // namespace fdrnn
