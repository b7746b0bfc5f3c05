#section support_code
/* Gradient of the NADE of nade.c, from the last column of a row to its first. */
namespace fdrnn {

template <typename real>
struct NadeRowGradient : NadeRow<real> {
    using NadeRow<real>::D, NadeRow<real>::N, NadeRow<real>::width;
    real *dV, *dW;         /* by position, like V and W */
    real *dE, *dS;         /* of the state's moments */
    real *da, *dk;         /* of the pre-synaptic means behind the column, and of k */

    NadeRowGradient(npy_intp D_, npy_intp N_, const real *order_, Workspace<real> &workspace)
        : NadeRow<real>(D_, N_, order_, workspace), dV(workspace.get(D * width)),
          dW(workspace.get(D * width)), dE(workspace.get(width)), dS(workspace.get(width)),
          da(workspace.get(width)), dk(workspace.get(width)) {}

    /* (d_mean, d_variance) of g nll. */
    template <bool stochastic>
    void row(real g, const real *mean, const real *variance, const real *target,
             const real *__restrict z_mean, const real *__restrict z_variance,
             real *__restrict d_mean, real *__restrict d_variance) {
        const real c = SigmoidMoments<real>::c;
#pragma GCC ivdep
        for (npy_intp j = 0; j < D; ++j) {
            const real k = stochastic ? real(1) / std::sqrt(real(1) + c * z_variance[j]) : real(1);
            const real d = g * (sigmoid(z_mean[j] * k) - target[j]) * k;
            d_mean[j] = d;
            if (stochastic) d_variance[j] = real(-0.5) * c * d * z_mean[j] * k * k;
        }
        npy_intp state = this->template states<stochastic>(mean, variance, target);
        memset(dE, 0, width * sizeof(real));
        memset(dS, 0, width * sizeof(real));
        memset(da, 0, width * sizeof(real));
        memset(dk, 0, width * sizeof(real));
        for (npy_intp i = D; i-- > 0;) {
            const npy_intp j = this->column(i);
            if (this->ends_state(i, target)) {
                through_moments<stochastic>(state--);
                const real x = target[j];
                real *__restrict dw = dW + i * width;
#pragma GCC ivdep
                for (npy_intp n = 0; n < width; ++n) dw[n] = fused(x, da[n], dw[n]);
            }
            through_logit<stochastic>(i, state, d_mean[j], stochastic ? d_variance[j] : real(0));
        }
        through_moments<stochastic>(0);
        memcpy(d_mean + D, da, N * sizeof(real));
        if (stochastic) {
            const real *__restrict k = this->k;
#pragma GCC ivdep
            for (npy_intp n = 0; n < N; ++n)
                d_variance[D + n] = real(-0.5) * c * dk[n] * k[n] * k[n] * k[n];
        }
    }

    /* From the moments of the logit at position i to those of a state, and to V. */
    template <bool stochastic>
    void through_logit(npy_intp i, npy_intp state, real dm, real dv) {
        const real *__restrict v = this->V + i * width;
        const real *__restrict e = this->E + state * width, *__restrict s = this->S + state * width;
        real *__restrict into = dV + i * width;
#pragma GCC ivdep
        for (npy_intp n = 0; n < width; ++n) {
            dE[n] = fused(dm, v[n], dE[n]);
            into[n] = fused(dm, e[n], into[n]);
            if (stochastic) {
                const real by_square = dv * v[n];
                dS[n] = fused(by_square, v[n], dS[n]);
                into[n] = fused(real(2) * by_square, s[n], into[n]);
            }
        }
    }

    /* From a state's moments to the means and to k, and to no gradient of the moments. */
    template <bool stochastic>
    void through_moments(npy_intp state) {
        const real *__restrict m = this->a + state * width, *__restrict e = this->E + state * width;
        const real *__restrict k = this->k, *__restrict q = this->q;
#pragma GCC ivdep
        for (npy_intp n = 0; n < width; ++n) {
            const real y = e[n] * (real(1) - e[n]);
            real d = dE[n];
            if (stochastic) {
                d += dS[n] * (real(1) - real(2) * e[n]) * q[n];
                dk[n] += y * (d * m[n] - dS[n]);
                dS[n] = real(0);
            }
            da[n] += d * y * k[n];
            dE[n] = real(0);
        }
    }

    void write(real *d_V, real *d_W) const {
        for (npy_intp i = 0; i < D; ++i) {
            memcpy(d_V + this->column(i) * N, dV + i * width, N * sizeof(real));
            memcpy(d_W + this->column(i) * N, dW + i * width, N * sizeof(real));
        }
    }
};

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    NadeRowGradient<real> gradient(D, N, order, workspace);
    if (workspace.failed) return -1;
    gradient.fill(V, W);
    memset(gradient.dV, 0, D * gradient.width * sizeof(real));
    memset(gradient.dW, 0, D * gradient.width * sizeof(real));
    memset(d_mean, 0, R * A * sizeof(real));
    memset(d_variance, 0, R * B * sizeof(real));
    for (npy_intp r = 0; r < R; ++r) {
        if (g_nll[r] == real(0)) continue; /* padding */
        const real *m = mean + r * A, *x = target + r * D, *z = z_mean + r * D;
        if (stochastic)
            gradient.template row<true>(g_nll[r], m, variance + r * A, x, z, z_variance + r * D,
                                        d_mean + r * A, d_variance + r * A);
        else
            gradient.template row<false>(g_nll[r], m, NULL, x, z, NULL, d_mean + r * A, NULL);
    }
    gradient.write(d_V, d_W);
    return 0;
}
