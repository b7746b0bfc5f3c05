#section support_code
/*
 * Several hidden layers of H units over packed rows (see passes.c).
 *
 * Layer 0 reads the input, every other one the layer below it at the same step. The first N of the
 * L layers also read a state of the step before: each its own, or, in a transition, all that of
 * layer N - 1, the last of them. The output reads layer L - 1, whose moments are arrays of their
 * own. Those of the layers below it follow each other, as do a, v and c of all layers.
 */
namespace fdrnn {

const npy_intp MOST_LAYERS = 8; /* as in variants/deep.py */

/* 0 if W_rec (K, H) and b (B,) are those of 1 to MOST_LAYERS layers; else -1 with a ValueError. */
inline int expect_layers(const char *op, npy_intp H, npy_intp K, npy_intp B) {
    if (K % H == 0 && B % H == 0 && H <= K && K <= B && B <= MOST_LAYERS * H) return 0;
    PyErr_Format(PyExc_ValueError,
                 "%s: W_rec and b must have %zd rows and elements for each of at most %zd layers, "
                 "got %zd and %zd", op, (Py_ssize_t)H, (Py_ssize_t)MOST_LAYERS, (Py_ssize_t)K,
                 (Py_ssize_t)B);
    return -1;
}

/* The products of equations 1 and 2 with one matrix W (H, H): of means and of variance inputs. */
template <typename real>
struct MomentProduct {
    Packed<real> of_mean, of_variance; /* the second without panels where there are no variances */

    MomentProduct() {}
    MomentProduct(npy_intp H, bool stochastic, Workspace<real> &workspace)
        : of_mean(H, H, workspace) {
        if (stochastic) of_variance = Packed<real>(H, H, workspace);
    }
    void fill(const real *W, real p_keep) const {
        of_mean.fill(W, scaled_by(p_keep));
        if (of_variance.panels) of_variance.fill(W, square_scaled_by(p_keep));
    }
    void fill_transposed(const real *W, real p_keep) const {
        of_mean.fill_transposed(W, scaled_by(p_keep));
        if (of_variance.panels) of_variance.fill_transposed(W, square_scaled_by(p_keep));
    }
    void multiply(npy_intp n, const real *mean, const real *c, bool add, real *a, real *v) const {
        of_mean.multiply(n, mean, add, a);
        if (of_variance.panels) of_variance.multiply(n, c, add, v);
    }
};

/* Means and variance inputs (S, H) of state k of the initial rows (S, J), which have J / H. */
template <typename real>
inline void initial_state_of(npy_intp k, npy_intp S, npy_intp J, npy_intp H, bool stochastic,
                             real p_keep, const real *mean0, const real *variance0, real *mean,
                             real *c) {
    for (npy_intp i = 0; i < S; ++i) {
        const npy_intp from = i * J + k * H;
        memcpy(mean + i * H, mean0 + from, H * sizeof(real));
        if (stochastic)
            variance_input(H, p_keep, mean0 + from, variance0 + from, c + i * H);
    }
}

}  // namespace fdrnn
