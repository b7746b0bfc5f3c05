#section support_code
/*
 * A NADE over the columns of one row at a time; nade.py has the equations. Its hidden units change
 * behind a column that is 1 alone, so that K ones make at most K + 1 states of them.
 */
namespace fdrnn {

/* 0 if the array has indices below n; else -1 with a ValueError set. */
template <typename real>
inline int expect_indices(const char *op, const char *name, PyArrayObject *array, npy_intp n) {
    const real *index = (const real *)PyArray_DATA(array);
    for (npy_intp i = 0; i < PyArray_DIM(array, 0); ++i)
        if (!(index[i] >= real(0) && index[i] < real(n))) {
            PyErr_Format(PyExc_ValueError, "%s: %s must be at least 0 and below %zd", op, name,
                         (Py_ssize_t)n);
            return -1;
        }
    return 0;
}

template <typename real>
struct NadeRow {
    static constexpr npy_intp lanes = 16; /* of sum_of, which has no rest in padded rows */
    npy_intp D, N, width;
    const real *order;
    real *V, *W;     /* rows by position of the column, `width` apart, 0 behind N */
    real *k, *q;     /* (1 + pi v / 8)^(-1/2) of the variance v of a hidden unit, and 1 - k */
    real *a, *E, *S; /* states by number: pre-synaptic mean, moments */

    NadeRow(npy_intp D_, npy_intp N_, const real *order_, Workspace<real> &workspace)
        : D(D_), N(N_), width((N_ + lanes - 1) / lanes * lanes), order(order_),
          V(workspace.get(D * width)), W(workspace.get(D * width)), k(workspace.get(width)),
          q(workspace.get(width)), a(workspace.get(D * width)), E(workspace.get(D * width)),
          S(workspace.get(D * width)) {}

    npy_intp column(npy_intp i) const { return (npy_intp)order[i]; }

    /* Whether there is another state behind the column at position i. */
    bool ends_state(npy_intp i, const real *target) const {
        return target[column(i)] != real(0) && i + 1 < D;
    }

    void fill(const real *V_, const real *W_) {
        memset(V, 0, D * width * sizeof(real));
        memset(W, 0, D * width * sizeof(real));
        for (npy_intp i = 0; i < D; ++i) {
            memcpy(V + i * width, V_ + column(i) * N, N * sizeof(real));
            memcpy(W + i * width, W_ + column(i) * N, N * sizeof(real));
        }
        for (npy_intp n = 0; n < width; ++n) k[n] = real(1), q[n] = a[n] = real(0);
    }

    /* The states of a row, and the number of the last one. */
    template <bool stochastic>
    npy_intp states(const real *mean, const real *variance, const real *target) {
        const real c = SigmoidMoments<real>::c;
        memcpy(a, mean + D, N * sizeof(real));
        if (stochastic) {
            const real *__restrict v = variance + D;
#pragma GCC ivdep
            for (npy_intp n = 0; n < N; ++n) {
                k[n] = real(1) / std::sqrt(real(1) + c * v[n]);
                q[n] = c * v[n] * k[n] * k[n] / (real(1) + k[n]);
            }
        }
        npy_intp state = 0;
        moments<stochastic>(state);
        for (npy_intp i = 0; i < D; ++i) {
            if (!ends_state(i, target)) continue;
            const real x = target[column(i)];
            const real *__restrict w = W + i * width, *__restrict before = a + state * width;
            real *__restrict after = a + ++state * width;
#pragma GCC ivdep
            for (npy_intp n = 0; n < width; ++n) after[n] = fused(x, w[n], before[n]);
            moments<stochastic>(state);
        }
        return state;
    }

    template <bool stochastic>
    void moments(npy_intp state) {
        const real *__restrict m = a + state * width;
        real *__restrict e = E + state * width, *__restrict s = S + state * width;
#pragma GCC ivdep
        for (npy_intp n = 0; n < width; ++n) {
            e[n] = sigmoid(k[n] * m[n]);
            if (stochastic) s[n] = e[n] * (real(1) - e[n]) * q[n];
        }
    }

    /* Moments of the logits (D,), and the NLL. */
    template <bool stochastic>
    real nll(const real *mean, const real *variance, const real *target, real *z_mean,
             real *z_variance) {
        states<stochastic>(mean, variance, target);
        npy_intp state = 0;
        for (npy_intp i = 0; i < D; ++i) {
            const npy_intp j = column(i);
            const real *v = V + i * width, *e = E + state * width, *s = S + state * width;
            z_mean[j] = mean[j] + sum_of<real>(width, [=](npy_intp n) { return v[n] * e[n]; });
            if (stochastic)
                z_variance[j] = variance[j] + sum_of<real>(width, [=](npy_intp n) {
                                    return v[n] * v[n] * s[n];
                                });
            state += ends_state(i, target);
        }
        const real c = SigmoidMoments<real>::c;
        return sum_of<real>(D, [=](npy_intp j) {
            const real u =
                stochastic ? z_mean[j] / std::sqrt(real(1) + c * z_variance[j]) : z_mean[j];
            return softplus(u) - target[j] * u;
        });
    }
};

}  // namespace fdrnn
