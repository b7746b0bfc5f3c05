#section support_code
/* Gradient of the NADE of nade.c, from the last column of a row to its first. */
namespace fdrnn {

template <typename real>
struct NadeRowGradient : NadeRow<real> {
    using NadeRow<real>::D, NadeRow<real>::N, NadeRow<real>::width, NadeRow<real>::column;
    real *dV, *dW; /* by position, like V and W */
    real *dE, *dS; /* of the state's moments */
    real *da, *dk; /* of the pre-synaptic means behind the column, and of k */

    NadeRowGradient(npy_intp D_, npy_intp N_, Workspace<real> &workspace)
        : NadeRow<real>(D_, N_, workspace), dV(workspace.get(D * width)),
          dW(workspace.get(D * width)), dE(workspace.get(4 * width)), dS(dE + width),
          da(dS + width), dk(da + width) {}

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
        const npy_intp n_states = this->template states<stochastic>(mean, variance, target);
        memset(dE, 0, 4 * width * sizeof(real));
        for (npy_intp state = n_states, i = D; state-- > 0;) {
            const npy_intp begin = state ? this->ends[state - 1] : 0;
            for (; i - begin >= 4; i -= 4)
                through_logits<stochastic, 4>(i, state, d_mean, d_variance);
            for (; i > begin; --i) through_logits<stochastic, 1>(i, state, d_mean, d_variance);
            through_moments<stochastic>(state);
            if (!state) break;
            const real x = target[column[begin - 1]];
            real *__restrict dw = dW + (begin - 1) * width;
#pragma GCC ivdep
            for (npy_intp n = 0; n < width; ++n) dw[n] = fused(x, da[n], dw[n]);
        }
        memcpy(d_mean + D, da, N * sizeof(real));
        if (stochastic) {
            const real *__restrict k = this->k;
#pragma GCC ivdep
            for (npy_intp n = 0; n < N; ++n)
                d_variance[D + n] = real(-0.5) * c * dk[n] * k[n] * k[n] * k[n];
        }
    }

    /* From the moments of the logits of the last `columns` before `end` to the state's, and to V. */
    template <bool stochastic, int columns>
    FDRNN_INLINE void through_logits(npy_intp end, npy_intp state, const real *d_mean,
                                     const real *d_variance) {
        const real *__restrict e = this->E + state * width, *__restrict s = this->S + state * width;
        const real *__restrict v[columns];
        real *__restrict into[columns];
        real dm[columns], dv[columns];
        FDRNN_UNROLL
        for (int c = 0; c < columns; ++c) {
            const npy_intp i = end - 1 - c;
            v[c] = this->V + i * width;
            into[c] = dV + i * width;
            dm[c] = d_mean[column[i]];
            dv[c] = stochastic ? d_variance[column[i]] : real(0);
        }
#pragma GCC ivdep
        for (npy_intp n = 0; n < width; ++n) {
            real of_e = dE[n], of_s = dS[n];
            FDRNN_UNROLL
            for (int c = 0; c < columns; ++c) {
                real of_v = fused(dm[c], e[n], into[c][n]);
                of_e = fused(dm[c], v[c][n], of_e);
                if (stochastic) {
                    const real by_square = dv[c] * v[c][n];
                    of_s = fused(by_square, v[c][n], of_s);
                    of_v = fused(real(2) * by_square, s[n], of_v);
                }
                into[c][n] = of_v;
            }
            dE[n] = of_e;
            if (stochastic) dS[n] = of_s;
        }
    }

    /* From a state's moments to the means and to k; the next state's begin at 0. */
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
            memcpy(d_V + column[i] * N, dV + i * width, N * sizeof(real));
            memcpy(d_W + column[i] * N, dW + i * width, N * sizeof(real));
        }
    }
};

}  // namespace fdrnn

#section support_code_struct
int kernel(ARGUMENTS) {
    using namespace fdrnn;
    const bool spread = stochastic && Q > 0;
    NadeRowGradient<real> gradient(D, N, workspace);
    if (workspace.failed) return -1;
    gradient.fill(order, V, W);
    memset(gradient.dV, 0, D * gradient.width * sizeof(real));
    memset(gradient.dW, 0, D * gradient.width * sizeof(real));
    memset(d_mean, 0, R * A * sizeof(real));
    memset(d_variance, 0, Q * B * sizeof(real));
    for (npy_intp r = 0; r < R; ++r) {
        if (g_nll[r] == real(0)) continue; /* padding */
        const real *m = mean + r * A, *x = target + r * D, *z = z_mean + r * D;
        if (spread)
            gradient.template row<true>(g_nll[r], m, variance + r * A, x, z, z_variance + r * D,
                                        d_mean + r * A, d_variance + r * A);
        else
            gradient.template row<false>(g_nll[r], m, NULL, x, z, NULL, d_mean + r * A, NULL);
    }
    gradient.write(d_V, d_W);
    return 0;
}
