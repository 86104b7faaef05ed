// Factorization: logit(u, i) = e_u . e_i + b_u + b_i + b (Koren et al., "Matrix factorization techniques for
// recommender systems", 2009). It learns by a softmax over the whole catalog or by pairs (BPR, BCE).

#include <memory>

#include "engine/models/pair_model.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf {
namespace {

/// Finds vectors for people that the model never saw: those under which their purchases are likeliest by the softmax
/// over the catalog. The items stay as they are. The problem is convex, so this many steps of Adam from zero end near
/// its optimum.
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

class Factorization final : public PairModel {
 public:
  Factorization() : PairModel(PairForm::dot, {LossKind::softmax, LossKind::bpr, LossKind::bce}) {}
  std::string_view name() const override { return "factorization"; }
  std::string_view about() const override { return "a dot product of learned vectors and biases"; }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts = linear_parts(context, tables());
    parts.encode = fold_in;
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }
};

}  // namespace

std::unique_ptr<Recommender> make_factorization() { return std::make_unique<Factorization>(); }

}  // namespace sheaf
