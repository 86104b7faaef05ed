#include "engine/models/fold_in.hpp"

#include "kernels/loss/full_softmax.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf {

void fold_in(Context& context, const LinearParts& model, const Queries& queries, MatrixView<float> vectors) {
  constexpr int64_t kSteps = 100;
  constexpr float kLearningRate = 0.05f, kDecay = 0.003f;
  ScratchScope scratch(context);
  const auto zeros = [&](int64_t size) {
    float* data = scratch.take<float>(size);
    context.fill_bytes(data, 0, static_cast<size_t>(size) * sizeof(float));
    return VectorView<float>{data, size};
  };
  const int64_t n = vectors.rows, size = vectors.size();
  context.fill_bytes(vectors.data, 0, static_cast<size_t>(size) * sizeof(float));
  const VectorView<float> moment1 = zeros(size), moment2 = zeros(size), d_users = zeros(size),
                          d_items = zeros(model.n_items * model.dim), d_bias = zeros(model.n_items);
  Buffer<double> loss = Buffer<double>::zeros(context, 1);
  for (int64_t step = 1; step <= kSteps; ++step) {
    loss::full_softmax(context, {.users = vectors,
                                 .items = model.items.matrix(model.n_items, model.dim),
                                 .item_bias = model.item_bias.view(),
                                 .targets = queries.device_purchases().view(),
                                 .scale = 1.0f,
                                 .d_users = {d_users.data, n, model.dim},
                                 .d_items = {d_items.data, model.n_items, model.dim},
                                 .d_item_bias = d_bias,
                                 .loss = loss.view()});
    optim::adam(context, {.grad = d_users,
                          .adam = {.learning_rate = kLearningRate, .decoupled_decay = kDecay, .step = step},
                          .parameters = {vectors.data, size},
                          .moment1 = moment1,
                          .moment2 = moment2});
  }
  context.synchronize();  // `loss` ends here
}

}  // namespace sheaf
