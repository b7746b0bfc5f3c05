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
    real *rec_mean = workspace.get(H * G), *in_mean = workspace.get(D * G);
    real *rec_variance = stochastic ? workspace.get(H * G) : NULL;
    real *in_variance = noisy_input ? workspace.get(D * G) : NULL;
    real *x_squared = noisy_input ? workspace.get(R * D) : NULL;
    if (workspace.failed) return false;
    scaled(H * G, W_rec, factor, rec_mean);
    scaled(D * G, W_in, p_keep_input, in_mean);
    if (stochastic) scaled_square(H * G, W_rec, p_keep_hidden, rec_variance);
    if (noisy_input) {
        scaled_square(D * G, W_in, p_keep_input * (real(1) - p_keep_input), in_variance);
        scaled_square(R * D, x, real(1), x_squared);
    }
    matrices = {in_mean, rec_mean, in_variance, rec_variance, x_squared};
    return true;
}

/* out (G, H) = (factor W)', or (factor W^2)'; `scratch` is of the shape of W (H, G). */
template <typename real>
inline void scale_and_transpose(npy_intp H, npy_intp G, const real *W, real factor, bool square,
                                real *scratch, real *out) {
    if (square) scaled_square(H * G, W, factor, scratch);
    else scaled(H * G, W, factor, scratch);
    transposed(H, G, scratch, out);
}

/*
 * dW_in and dW_rec of a pass over all rows. `scratch` is of the shape of W_rec, c0 the variance
 * input of the initial state; of_variance is NULL for a layer without variances.
 */
template <typename real>
inline bool fast_dropout_weight_gradients(
    const Packing &rows, npy_intp D, npy_intp H, npy_intp G, real factor, real p_keep_hidden,
    real p_keep_input, const real *x, const real *W_in, const real *W_rec,
    const RecurrentGradient<real> &of_mean, const RecurrentGradient<real> *of_variance,
    const real *mean, const real *mean0, const real *c, const real *c0, real *scratch,
    Workspace<real> &workspace, real *dW_in, real *dW_rec) {
    of_mean.weights(rows, mean, mean0, dW_rec);
    product_at(D, G, rows.R, x, of_mean.d, real(0), dW_in);
    if (!of_variance) {
        rescale(H * G, factor, dW_rec);
        rescale(D * G, p_keep_input, dW_in);
        return true;
    }
    of_variance->weights(rows, c, c0, scratch);
    weight_gradient(H * G, factor, p_keep_hidden, W_rec, scratch, dW_rec);
    if (!(p_keep_input < real(1))) {
        rescale(D * G, p_keep_input, dW_in);
        return true;
    }
    real *x_squared = workspace.get(rows.R * D), *dW_variance = workspace.get(D * G);
    if (workspace.failed) return false;
    scaled_square(rows.R * D, x, real(1), x_squared);
    product_at(D, G, rows.R, x_squared, of_variance->d, real(0), dW_variance);
    weight_gradient(D * G, p_keep_input, p_keep_input * (real(1) - p_keep_input), W_in,
                    dW_variance, dW_in);
    return true;
}

}  // namespace fdrnn
