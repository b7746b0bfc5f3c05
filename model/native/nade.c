#section support_code
/*
 * A NADE over the columns of one row at a time; nade.py has the equations. Its hidden units change
 * behind a column that is 1 alone, so that K ones make at most K + 1 states of them.
 */
namespace fdrnn {

/* 0 if the array (n,) has each index below n once; else -1 with an error set. */
template <typename real>
inline int expect_permutation(const char *op, const char *name, PyArrayObject *array, npy_intp n) {
    const real *index = (const real *)PyArray_DATA(array);
    char *seen = (char *)PyMem_Calloc(n, 1);
    if (!seen) {
        PyErr_NoMemory();
        return -1;
    }
    npy_intp i = 0;
    while (i < n && index[i] >= real(0) && index[i] < real(n) && !seen[(npy_intp)index[i]])
        seen[(npy_intp)index[i++]] = 1;
    PyMem_Free(seen);
    if (i == n) return 0;
    PyErr_Format(PyExc_ValueError, "%s: %s must have each index at least 0 and below %zd once", op,
                 name, (Py_ssize_t)n);
    return -1;
}

template <typename real>
struct NadeRow {
    static constexpr int lanes = 16, L = Vector<real>::lanes;
    static_assert(lanes % L == 0, "rows are whole vectors");
    typedef typename Vector<real>::type vector;

    npy_intp D, N, width;
    npy_intp *column; /* by position */
    npy_intp *ends;   /* by state, the position behind its last column */
    real *V, *W;      /* rows by position of the column, `width` apart, 0 behind N */
    real *k, *q;      /* (1 + pi v / 8)^(-1/2) of the variance v of a hidden unit, and 1 - k */
    real *a, *E, *S;  /* by state, pre-synaptic means and moments */

    NadeRow(npy_intp D_, npy_intp N_, Workspace<real> &workspace)
        : D(D_), N(N_), width((N_ + lanes - 1) / lanes * lanes), column(integers(D, workspace)),
          ends(integers(D, workspace)), V(workspace.get(D * width)), W(workspace.get(D * width)),
          k(workspace.get(2 * width)), q(k + width), a(workspace.get(D * width)),
          E(workspace.get(D * width)), S(workspace.get(D * width)) {}

    static npy_intp *integers(npy_intp n, Workspace<real> &workspace) {
        return (npy_intp *)workspace.get(n * (npy_intp)(sizeof(npy_intp) / sizeof(real)));
    }

    void fill(const real *order, const real *V_, const real *W_) {
        memset(V, 0, D * width * sizeof(real));
        memset(W, 0, D * width * sizeof(real));
        for (npy_intp i = 0; i < D; ++i) {
            column[i] = (npy_intp)order[i];
            memcpy(V + i * width, V_ + column[i] * N, N * sizeof(real));
            memcpy(W + i * width, W_ + column[i] * N, N * sizeof(real));
        }
        for (npy_intp n = 0; n < width; ++n) k[n] = real(1), q[n] = a[n] = real(0);
    }

    /* The states of a row; their number. */
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
        for (npy_intp i = 0; i + 1 < D; ++i) {
            const real x = target[column[i]];
            if (x == real(0)) continue;
            ends[state] = i + 1;
            const real *__restrict w = W + i * width, *__restrict before = a + state * width;
            real *__restrict after = a + ++state * width;
#pragma GCC ivdep
            for (npy_intp n = 0; n < width; ++n) after[n] = fused(x, w[n], before[n]);
            moments<stochastic>(state);
        }
        ends[state] = D;
        return state + 1;
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
        const npy_intp n_states = states<stochastic>(mean, variance, target);
        for (npy_intp state = 0, i = 0; state < n_states; ++state)
            for (; i < ends[state]; ++i) {
                const npy_intp j = column[i];
                real z, z_spread;
                logit<stochastic>(V + i * width, E + state * width, S + state * width, z, z_spread);
                z_mean[j] = mean[j] + z;
                if (stochastic) z_variance[j] = variance[j] + z_spread;
            }
        const real c = SigmoidMoments<real>::c;
        return sum_of<real>(D, [=](npy_intp j) {
            const real u =
                stochastic ? z_mean[j] / std::sqrt(real(1) + c * z_variance[j]) : z_mean[j];
            return softplus(u) - target[j] * u;
        });
    }

    /* v E and v^2 S: each a sum of every 16th term for 16 lanes, which are added in pairs. */
    template <bool stochastic>
    FDRNN_INLINE void logit(const real *v, const real *e, const real *s, real &mean,
                            real &variance) const {
        vector m[lanes / L] = {}, w[lanes / L] = {};
        for (npy_intp n = 0; n < width; n += lanes)
            FDRNN_UNROLL
            for (int l = 0; l < lanes / L; ++l) {
                const vector of_v = loaded(v + n + l * L);
                m[l] = fused<real>(of_v, loaded(e + n + l * L), m[l]);
                if (stochastic) w[l] = fused<real>(of_v * of_v, loaded(s + n + l * L), w[l]);
            }
        mean = added(m);
        if (stochastic) variance = added(w);
    }

    static FDRNN_INLINE real added(vector *sums) {
        FDRNN_UNROLL
        for (int half = lanes / L / 2; half > 0; half /= 2)
            FDRNN_UNROLL
            for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
        real last[L];
        memcpy(last, sums, sizeof last);
        FDRNN_UNROLL
        for (int half = L / 2; half > 0; half /= 2)
            FDRNN_UNROLL
            for (int l = 0; l < half; ++l) last[l] += last[l + half];
        return last[0];
    }
};

}  // namespace fdrnn
