#section support_code
/*
 * What the layers with fast dropout share: equations 1 and 2 around the products of a pass.
 * `factor` scales the recurrent mean: p_keep, but for the authors' cell.
 */
namespace fdrnn {

/* The matrices of a forward pass; false if there is no memory. */
template <typename real>
inline bool scale_matrices(npy_intp R, npy_intp D, npy_intp H, npy_intp G, bool stochastic,
                           real factor, real p_keep_hidden, real p_keep_input, const real *x,
                           const real *W_in, const real *W_rec, Workspace<real> &workspace,
                           ForwardMatrices<real> &matrices) {
    const bool noisy_input = stochastic && p_keep_input < real(1);
    matrices.in_mean = Packed<real>(D, G, workspace);
    matrices.rec_mean = Packed<real>(H, G, workspace);
    if (stochastic) matrices.rec_variance = Packed<real>(H, G, workspace);
    if (noisy_input) matrices.in_variance = Packed<real>(D, G, workspace);
    real *x_squared = noisy_input ? workspace.get(R * D) : NULL;
    if (workspace.failed) return false;
    matrices.in_mean.fill(W_in, scaled_by(p_keep_input));
    matrices.rec_mean.fill(W_rec, scaled_by(factor));
    if (stochastic) matrices.rec_variance.fill(W_rec, square_scaled_by(p_keep_hidden));
    if (noisy_input) {
        matrices.in_variance.fill(W_in, square_scaled_by(p_keep_input * (real(1) - p_keep_input)));
        scaled_square(R * D, x, real(1), x_squared);
    }
    matrices.x_squared = x_squared;
    return true;
}

/*
 * dW_rec (H, G) of a pass over all rows. `scratch` is of its shape, `before` (R, H) the states that
 * rows continue and c their variance input, `before0` and c0 (S, H) those of the initial state;
 * of_variance is NULL for a layer without variances.
 */
template <typename real>
inline void recurrent_weight_gradient(const Packing &rows, npy_intp H, npy_intp G, real factor,
                                      real p_keep, const real *W,
                                      const RecurrentGradient<real> &of_mean,
                                      const RecurrentGradient<real> *of_variance,
                                      const real *before, const real *before0, const real *c,
                                      const real *c0, real *scratch, Workspace<real> &workspace,
                                      real *dW) {
    of_mean.weights(rows, before, before0, dW, workspace);
    if (!of_variance) {
        rescale(H * G, factor, dW);
        return;
    }
    of_variance->weights(rows, c, c0, scratch, workspace);
    weight_gradient(H * G, factor, p_keep, W, scratch, dW);
}

/* dW_in (D, G) from da and, unless it is NULL, dv (R, G); false if there is no memory. */
template <typename real>
inline bool input_weight_gradient(npy_intp R, npy_intp D, npy_intp G, real p_keep, const real *x,
                                  const real *W, const real *da, const real *dv,
                                  Workspace<real> &workspace, real *dW) {
    product_at(D, G, R, x, da, false, dW, workspace);
    if (!dv || !(p_keep < real(1))) {
        rescale(D * G, p_keep, dW);
        return true;
    }
    real *x_squared = workspace.get(R * D), *dW_variance = workspace.get(D * G);
    if (workspace.failed) return false;
    scaled_square(R * D, x, real(1), x_squared);
    product_at(D, G, R, x_squared, dv, false, dW_variance, workspace);
    weight_gradient(D * G, p_keep, p_keep * (real(1) - p_keep), W, dW_variance, dW);
    return true;
}

}  // namespace fdrnn
