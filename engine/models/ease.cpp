// EASE (Steck, "Embarrassingly shallow autoencoders for sparse data", 2019): score(u, i) = sum over j of X[u, j] B[j,
// i]. B has a zero diagonal and the least ||X - X B||^2 + l2 ||B||^2. With P = (X^T X + l2 I)^-1 the closed form is
// B[i, j] = -P[i, j] / P[j, j].

#include <fmt/format.h>

#include <cstddef>
#include <memory>

#include "engine/models/choose.hpp"
#include "engine/models/purchase_weights.hpp"
#include "engine/scoring/item_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/memory.hpp"
#include "kernels/dense/ease_weights.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/spd_inverse.hpp"
#include "kernels/sparse/spgemm.hpp"

namespace sheaf {
namespace {

constexpr double kUsualL2 = 200.0;                                                // one of those tried
constexpr double kTriedL2[] = {20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0};  // of l2, where validation chooses

class Ease final : public Recommender {
 public:
  std::string_view name() const override { return "ease"; }
  std::string_view about() const override { return "a linear autoencoder over the items, in closed form"; }

  std::vector<SettingGroup> settings() override {
    return {{"ease",
             {{"l2", "strength of the regularisation; 0: the best of 20 to 2000 on the validation period, else 200",
               &l2_, 0.0, 1e9},
              {"weight",
               "of a purchase: 1 each, the logarithm of 1 + times bought, or its recency weight",
               &weight_,
               {"log", "one", "recency"}}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const Purchases& purchases = data.purchases;
    if (purchases.train.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    weights_ = purchase_weights(purchases, weight_);
    check_memory(context);
    const Buffer<float> gram = gram_matrix(context);
    Buffer<float> kept;
    FitReport report = choose_on_validation(
        context, data, options, {.section = "ease", .key = "l2", .given = l2_, .usual = kUsualL2, .tries = kTriedL2},
        [&](double l2) {
          similarity_ = Buffer<float>();  // one less at a time
          similarity_ = solve(context, gram, l2);
          return scorer(context);
        },
        [&] { std::swap(kept, similarity_); });
    similarity_ = std::move(kept);
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    ItemSimilarity similarity{.n_items = n_items(), .sparse = {}, .dense = copy_of(context, similarity_)};
    return std::make_unique<ItemScorer>(context, weights_, std::move(similarity));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors{{"similarity", {n_items(), n_items()}, similarity_.to_host()}};
    add_csr(tensors, "purchases", weights_);
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    similarity_ = Buffer<float>(context, tensors.matrix("similarity", n_items(), n_items()));
    weights_ = tensors.csr("purchases", n_users(), n_items());
  }

 private:
  /// Before minutes of work: four matrices over the items are there at once.
  void check_memory(Context& context) const {
    const std::string what = fmt::format("the matrices of the model ease over {} items need", n_items());
    const char* const hint = "take another model.preference, or import fewer items (clean.min_item_users)";
    const int64_t bytes = 4 * n_items() * n_items() * static_cast<int64_t>(sizeof(float));
    if (context.on_cpu()) require_memory(what, bytes, hint);
    try {
      const Buffer<std::byte> all(context, bytes);
    } catch (const DeviceError& full) {
      throw DeviceError(fmt::format("{} {:.1f} GiB: {}", what, static_cast<double>(bytes) / (1 << 30), full.what()),
                        hint);
    }
  }

  /// X^T X, [n_items, n_items]
  Buffer<float> gram_matrix(Context& context) const {
    Buffer<float> gram(context, n_items() * n_items());
    const DeviceCsr users_of(context, transpose(weights_)), items_of(context, weights_);
    const Buffer<int32_t> all = all_ids(context, n_items());
    sparse::spgemm(context, {.left = users_of.view(),
                             .right = items_of.view(),
                             .ids = all.view(),
                             .column_bias = {},
                             .out = gram.matrix(n_items(), n_items())});
    context.synchronize();
    return gram;
  }

  Buffer<float> solve(Context& context, const Buffer<float>& gram, double l2) const {
    const int64_t n = n_items();
    Buffer<float> weights(context, n * n);
    // The identity, scaled, then the Gram matrix on top.
    const DeviceCsr diagonal(context, scaled_identity(static_cast<float>(l2)));
    const Buffer<int32_t> all = all_ids(context, n);
    sparse::spgemm(
        context,
        {.left = diagonal.view(), .right = {}, .ids = all.view(), .column_bias = {}, .out = weights.matrix(n, n)});
    dense::scaled_add(context, {.x = gram.matrix(n, n), .out = weights.matrix(n, n)});
    Buffer<int32_t> failed = Buffer<int32_t>::zeros(context, 1);
    dense::spd_inverse(context, {.matrix = weights.matrix(n, n), .failed = failed.view()});
    const int32_t pivot = failed.to_host()[0];
    if (pivot != 0) {
      throw DataError("the items' Gram matrix has no inverse in 32 bits at pivot " + std::to_string(pivot - 1),
                      "raise ease.l2");
    }
    dense::ease_weights(context, {.matrix = weights.matrix(n, n)});
    context.synchronize();
    return weights;
  }

  HostCsr scaled_identity(float value) const {
    HostCsr diagonal = identity_csr(n_items());
    diagonal.values.assign(static_cast<size_t>(n_items()), value);
    return diagonal;
  }

  double l2_ = 0.0;
  std::string weight_ = "log";
  HostCsr weights_;           // [n_users, n_items] X
  Buffer<float> similarity_;  // [n_items, n_items] B
};

}  // namespace

std::unique_ptr<Recommender> make_ease() { return std::make_unique<Ease>(); }

}  // namespace sheaf
