#section support_code
/*
 * Passes over packed rows (see packing.py) that the recurrent layers share.
 *
 * Row i of step t continues row min(i, n_rows[t-1] - 1) of step t-1; at t = 0, of the initial
 * state of S rows. Rows may join: they continue the last row of the previous step, the shared
 * padding. Rows may end: the last rows of a step then have no successor.
 *
 * A layer has H units and G columns of pre-synaptic activations (4 H in an LSTM, else H). Its
 * means are a = x in_mean + mean_before rec_mean; its variances, if it has any, are
 * v = x^2 in_variance + c_before rec_variance, where c (R, K) follows from a row's moments.
 */
namespace fdrnn {

struct Packing {
    npy_intp T, S, R;
    const npy_int64 *n_rows;

    npy_intp widest() const {
        npy_intp most = S;
        for (npy_intp t = 0; t < T; ++t)
            if (n_rows[t] > most) most = n_rows[t];
        return most;
    }
    bool constant() const {
        for (npy_intp t = 0; t < T; ++t)
            if (n_rows[t] != n_rows[0]) return false;
        return true;
    }
    /* End of the rows whose input is multiplied at once from step t on: whole steps only. */
    npy_intp block_end(npy_intp t, npy_intp row, npy_intp block) const {
        npy_intp end = row + n_rows[t];
        for (npy_intp u = t + 1; u < T && end + n_rows[u] <= row + block; ++u) end += n_rows[u];
        return end;
    }
};

/* Matrices of a forward pass; without panels where there is no such product. */
template <typename real>
struct ForwardMatrices {
    Packed<real> in_mean, rec_mean;         /* (D, G), (H, G) */
    Packed<real> in_variance, rec_variance; /* (D, G), (K, G) */
    const real *x_squared;                  /* (R, D) */
};

/* Copies of the last of `n_before` rows as rows up to `n`. */
template <typename real>
inline void repeat_last(npy_intp n_before, npy_intp n, npy_intp width, real *rows) {
    for (npy_intp i = n_before; i < n; ++i)
        memcpy(rows + i * width, rows + (n_before - 1) * width, width * sizeof(real));
}

/*
 * `mean_before` and `c_before` hold the initial state, with room for the rows of step 0.
 * step(n, n_before, row) computes mean (R, H) and c (R, K) from a and v (R, G) for the n rows that
 * begin at `row`.
 */
template <typename real, typename Step>
inline void forward_pass(const Packing &rows, npy_intp D, npy_intp H, npy_intp K, npy_intp G,
                         const real *x, const ForwardMatrices<real> &W, real *mean_before,
                         real *c_before, real *a, real *v, real *mean, real *c, Step step) {
    const npy_intp block = INPUT_BLOCK / G;
    npy_intp n_before = rows.S, row = 0, projected = 0;
    for (npy_intp t = 0; t < rows.T; ++t) {
        const npy_intp n = rows.n_rows[t];
        if (projected < row + n) {
            projected = rows.block_end(t, row, block);
            const npy_intp size = projected - row;
            W.in_mean.multiply(size, x + row * D, false, a + row * G);
            if (W.in_variance.panels)
                W.in_variance.multiply(size, W.x_squared + row * D, false, v + row * G);
            else if (W.rec_variance.panels)
                memset(v + row * G, 0, size * G * sizeof(real));
        }
        /* Joining rows are written right behind the previous step's: there lies the block of
         * this step, which is free until the products have read it. */
        repeat_last(n_before, n, H, mean_before);
        W.rec_mean.multiply(n, mean_before, true, a + row * G);
        if (W.rec_variance.panels) {
            repeat_last(n_before, n, K, c_before);
            W.rec_variance.multiply(n, c_before, true, v + row * G);
        }
        step(n, n_before, row);
        mean_before = mean + row * H;
        c_before = c + row * K;
        n_before = n;
        row += n;
    }
}

/* successor (n_before, H): row j = sum of the rows of d (n, H) that continue row j. */
template <typename real>
inline void gather_successors(npy_intp n_before, npy_intp n, npy_intp H, const real *d,
                              real *successor) {
    const npy_intp direct = n < n_before ? n : n_before;
    memcpy(successor, d, direct * H * sizeof(real));
    if (direct < n_before)
        memset(successor + direct * H, 0, (n_before - direct) * H * sizeof(real));
    real *__restrict last = successor + (n_before - 1) * H;
    for (npy_intp i = n_before; i < n; ++i) {
        const real *__restrict joined = d + i * H;
#pragma GCC ivdep
        for (npy_intp j = 0; j < H; ++j) last[j] += joined[j];
    }
}

/*
 * The gradients of one product of a layer with its recurrent weights: `before` (R, K) W (K, G).
 *
 * d (R, G) is the gradient of the activations. `successors` holds for each row the sum of d over
 * the rows that continue it, so that the weight gradient is one product over all rows. Where
 * every step has as many rows, these are the rows of the next step.
 */
template <typename real>
struct RecurrentGradient {
    npy_intp K, G;
    const real *d;
    Packed<real> W_transposed; /* (G, K) */
    real *successors;      /* (R, G); NULL where every step has as many rows */
    real *first;           /* (S, G): the same of the initial state */
    real *future;          /* (widest, K): gradient of `before` from the next step */

    RecurrentGradient() {}
    RecurrentGradient(const Packing &rows, npy_intp K_, npy_intp G_, const real *d_,
                      Workspace<real> &workspace)
        : K(K_), G(G_), d(d_), W_transposed(G_, K_, workspace),
          successors(rows.constant() ? NULL : workspace.get(rows.R * G_)),
          first(workspace.get(rows.S * G_)), future(workspace.get(rows.widest() * K_)) {}

    void read_next_step(npy_intp n, npy_intp row, bool add = false) const {
        W_transposed.multiply(n, successors ? successors + row * G : d + (row + n) * G, add,
                              future);
    }
    void gather(npy_intp n_before, npy_intp n, npy_intp row) const {
        if (successors)
            gather_successors(n_before, n, G, d + row * G, successors + (row - n_before) * G);
    }
    /* The gradient of the initial rows (S, K). */
    void initial_state(const Packing &rows, real *d_initial, bool add = false) const {
        gather_successors(rows.S, rows.n_rows[0], G, d, first);
        W_transposed.multiply(rows.S, first, add, d_initial);
    }
    /* dW (K, G): one product over the rows that have a successor, and the initial rows. */
    void weights(const Packing &rows, const real *before, const real *initial, real *dW,
                 Workspace<real> &workspace) const {
        const npy_intp last = rows.n_rows[rows.T - 1];
        product_at(K, G, rows.R - last, before, successors ? successors : d + last * G, false, dW,
                   workspace);
        product_at(K, G, rows.S, initial, first, true, dW, workspace);
    }
};

/*
 * Backwards over the steps. step(n, n_before, row, has_future) computes the rows of `of_mean.d`
 * and, unless it is NULL, `of_variance->d` from the `future` of both.
 */
template <typename real, typename Step>
inline void backward_pass(const Packing &rows, const RecurrentGradient<real> &of_mean,
                          const RecurrentGradient<real> *of_variance, Step step) {
    npy_intp row = rows.R;
    for (npy_intp t = rows.T - 1; t >= 0; --t) {
        const npy_intp n = rows.n_rows[t], n_before = t > 0 ? rows.n_rows[t - 1] : rows.S;
        const bool has_future = t < rows.T - 1;
        row -= n;
        if (has_future) {
            of_mean.read_next_step(n, row);
            if (of_variance) of_variance->read_next_step(n, row);
        }
        step(n, n_before, row, has_future);
        if (t > 0) {
            of_mean.gather(n_before, n, row);
            if (of_variance) of_variance->gather(n_before, n, row);
        }
    }
}

}  // namespace fdrnn
