#section support_code
/* An affine layer a = (d * h) W + b with fast dropout on h, by blocks of rows, and its gradient. */
namespace fdrnn {

/* An ordinary layer unless `fast`: p is 1 then, and variances are neither read nor written. */
template <typename real>
struct AffineLayer {
    npy_intp H, D;
    bool fast;
    real p;
    Packed<real> W_mean, W_variance;
    real *c;

    AffineLayer(npy_intp H_, npy_intp D_, bool fast_, real p_keep, Workspace<real> &workspace)
        : H(H_), D(D_), fast(fast_), p(fast_ ? p_keep : real(1)), W_mean(H_, D_, workspace),
          W_variance(H_, D_, workspace), c(workspace.get(ROW_BLOCK * H_)) {}

    void fill(const real *W) const {
        W_mean.fill(W, scaled_by(p));
        if (fast) W_variance.fill(W, square_scaled_by(p));
    }

    void forward(npy_intp n, const real *mean, const real *variance, const real *b, real *z_mean,
                 real *z_variance) const {
        for (npy_intp i = 0; i < n; ++i) memcpy(z_mean + i * D, b, D * sizeof(real));
        W_mean.multiply(n, mean, true, z_mean);
        if (!fast) return;
        variance_input(n * H, p, mean, variance, c);
        W_variance.multiply(n, c, false, z_variance);
    }
};

/* Of a layer that reads W transposed; the gradient of W is added up block by block. */
template <typename real>
struct AffineLayerGradient {
    npy_intp H, D;
    bool fast;
    real p;
    Packed<real> W_mean, W_variance;
    real *dW_variance, *c;

    AffineLayerGradient(npy_intp H_, npy_intp D_, bool fast_, real p_keep,
                        Workspace<real> &workspace)
        : H(H_), D(D_), fast(fast_), p(fast_ ? p_keep : real(1)), W_mean(D_, H_, workspace),
          W_variance(D_, H_, workspace), dW_variance(workspace.get(H_ * D_)),
          c(workspace.get(ROW_BLOCK * H_)) {}

    void fill(const real *W) const {
        W_mean.fill_transposed(W, scaled_by(p));
        if (fast) W_variance.fill_transposed(W, square_scaled_by(p));
    }

    void backward(npy_intp n, bool first, const real *mean, const real *variance,
                  const real *dz_mean, const real *dz_variance, real *d_mean, real *d_variance,
                  real *d_W, Workspace<real> &workspace) const {
        W_mean.multiply(n, dz_mean, false, d_mean);
        product_at(H, D, n, mean, dz_mean, !first, d_W, workspace);
        if (!fast) return;
        W_variance.multiply(n, dz_variance, false, d_variance);
        mean_through_variance(n * H, p, mean, d_variance, d_mean);
        variance_input(n * H, p, mean, variance, c);
        product_at(H, D, n, c, dz_variance, !first, dW_variance, workspace);
    }

    /* Of W itself, once all blocks are added up. */
    void finish(const real *W, real *d_W) const {
        if (fast) weight_gradient(H * D, p, p, W, dW_variance, d_W);
    }
};

}  // namespace fdrnn
