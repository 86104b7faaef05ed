// Alternating least squares for implicit feedback (Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback
// datasets", 2008): the vectors x of users and y of items with the least
//
//   sum over all u, i of c(u, i) (p(u, i) - x_u . y_i)^2 + l2 (sum of |x_u|^2 + sum of |y_i|^2)
//
// where p = 1 and c = 1 + alpha w(u, i) for what the user bought, with weight w, and p = 0, c = 1 elsewhere. With the
// items fixed the best vectors of users are linear systems, and the other way round (sparse/als_solve): half a sweep
// each. score(u, i) = x_u . y_i. The last half sweep is that of the users. So a person whom the model never saw gets
// the vector by the same equations, and a known user's purchases give the known user's vector.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/layers/parameter.hpp"
#include "engine/models/choose.hpp"
#include "engine/models/cold_items.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/gram.hpp"
#include "kernels/sparse/als_solve.hpp"

namespace sheaf {
namespace {

constexpr double kAlsUsualL2 = 10.0, kAlsUsualSweeps = 10.0;  // one each of those tried
constexpr double kAlsTriedL2[] = {0.3, 1.0, 3.0, 10.0, 30.0, 100.0};
constexpr double kAlsTriedSweeps[] = {1.0, 2.0, 3.0, 5.0, 10.0, 20.0};
constexpr float kAlsLeastWeight = 1e-6f;  // a purchase is one, however old: the equations want positive weights
constexpr float kAlsDeviation = 0.1f;     // of the users' first vectors

/// Half a sweep: `out` [n rows, dim] are the best vectors of the rows for the vectors `fixed` of the columns.
void solve_half(Context& context, CsrView rows, bool binary, MatrixView<const float> fixed,
                MatrixView<const double> gram, float l2, float alpha, MatrixView<float> out) {
  Buffer<int32_t> failed = Buffer<int32_t>::zeros(context, 1);
  sparse::als_solve(context,
                    {.rows = rows,
                     .targets = {binary ? nullptr : rows.values, binary || rows.values == nullptr ? 0 : rows.nnz},
                     .items = fixed,
                     .gram = gram,
                     .l2 = static_cast<double>(l2),
                     .alpha = alpha,
                     .out = out,
                     .failed = failed.view()});
  if (failed.to_host()[0] != 0) {
    throw DataError(fmt::format("the vectors' Gram matrix has no factor at dimension {}", failed.to_host()[0]),
                    "raise als.l2");
  }
}

Buffer<double> gram_of(Context& context, MatrixView<const float> vectors) {
  Buffer<double> gram(context, vectors.cols * vectors.cols);
  dense::gram(context, {.x = vectors, .out = gram.matrix(vectors.cols, vectors.cols)});
  return gram;
}

/// Of purchases with weights, those that have one: the equations want positive weights.
HostCsr with_positive_weights(const HostCsr& purchases) {
  HostCsr kept;
  kept.n_columns = purchases.n_columns;
  for (int64_t r = 0; r < purchases.n_rows(); ++r) {
    for (auto e = static_cast<size_t>(purchases.row_offsets[static_cast<size_t>(r)]);
         e < static_cast<size_t>(purchases.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
      if (!(purchases.values[e] > 0.0f)) continue;
      kept.columns.push_back(purchases.columns[e]);
      kept.values.push_back(purchases.values[e]);
    }
    kept.row_offsets.push_back(kept.nnz());
  }
  return kept;
}

class Als final : public Recommender {
 public:
  std::string_view name() const override { return "als"; }
  std::string_view about() const override { return "a dot product of vectors by alternating least squares"; }

  std::vector<SettingGroup> settings() override {
    return {
        {"als",
         {{"dim", "of the vectors", &dim_, 1, sparse::kAlsMostDim},
          {"sweeps",
           "over users and items; 0: the best of 1 to 20 on the validation period, else 10, under the l2 that was "
           "chosen",
           &sweeps_, 0, 10000},
          {"l2", "strength of the regularisation; 0: the best of 0.3 to 100 on the validation period, else 10", &l2_,
           0.0, 1e9},
          {"alpha", "how much more a purchase of weight 1 counts than none", &alpha_, 1e-3, 1e6},
          {"weight",
           "of a purchase: 1 each, the logarithm of 1 + times bought, or its recency weight",
           &weight_,
           {"log", "one", "recency"}},
          {"target", "that the scores of purchases approach: their weight, or 1 each", &target_, {"weight", "one"}}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    if (data.purchases.train.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    const HostCsr weights = weights_of(data.purchases);
    const DeviceCsr rows(context, weights), columns(context, transpose(weights));
    learned_alpha_ = static_cast<float>(alpha_);
    cold_.clear();
    const auto begin = [&] {
      users_ = Buffer<float>(context, normal_values(n_users(), dim_, options.seed, 0, kAlsDeviation));
      items_ = Buffer<float>(context, n_items() * dim_);
      sweeps_done_ = 0;
    };
    const auto sweep_to = [&](int64_t sweeps) {
      for (; sweeps_done_ < sweeps; ++sweeps_done_) {
        check_interrupt("training");
        solve_half(context, columns.view(), is_binary(), user_matrix(),
                   gram_of(context, user_matrix()).matrix(dim_, dim_), learned_l2_, learned_alpha_,
                   items_.matrix(n_items(), dim_));
        solve_half(context, rows.view(), is_binary(), item_matrix(), gram_of(context, item_matrix()).matrix(dim_, dim_),
                   learned_l2_, learned_alpha_, users_.matrix(n_users(), dim_));
      }
    };
    // l2 first, with the usual number of sweeps; then how many sweeps under it, each going on from the one before.
    const auto usual_sweeps = static_cast<int64_t>(sweeps_ > 0 ? static_cast<double>(sweeps_) : kAlsUsualSweeps);
    const FitReport by_l2 = choose_on_validation(
        context, data, options,
        {.section = "als", .key = "l2", .given = l2_, .usual = kAlsUsualL2, .tries = kAlsTriedL2},
        [&](double l2) {
          learned_l2_ = static_cast<float>(l2);
          begin();
          sweep_to(usual_sweeps);
          return scorer(context);
        },
        [] {});
    learned_l2_ = static_cast<float>(by_l2.chosen.at("l2"));
    begin();
    FitOptions further = options;
    const int64_t before = std::ssize(by_l2.epochs);
    if (options.on_epoch) {
      further.on_epoch = [&](EpochReport epoch) {
        epoch.epoch += before;
        options.on_epoch(epoch);
      };
    }
    Buffer<float> kept_users, kept_items;
    FitReport report = choose_on_validation(
        context, data, further,
        {.section = "als",
         .key = "sweeps",
         .given = static_cast<double>(sweeps_),
         .usual = kAlsUsualSweeps,
         .tries = kAlsTriedSweeps},
        [&](double sweeps) {
          sweep_to(static_cast<int64_t>(sweeps));
          return scorer(context);
        },
        [&] {
          kept_users = copy_of(context, users_);
          kept_items = copy_of(context, items_);
        });
    users_ = std::move(kept_users);
    items_ = std::move(kept_items);
    ColdItems cold(context, data.catalog, data.purchases.train);
    cold_ = cold.items();
    cold.fill(context, items_, dim_);
    cold.note(options.on_note);
    return joined(by_l2, std::move(report));
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts{.n_users = n_users(),
                      .n_items = n_items(),
                      .dim = dim_,
                      .users = copy_of(context, users_),
                      .items = copy_of(context, items_)};
    parts.encode = [gram = std::make_shared<Buffer<double>>(gram_of_bought(context)), l2 = learned_l2_,
                    alpha = learned_alpha_, binary = is_binary()](Context& where, const LinearParts& model,
                                                                  const Queries& queries, MatrixView<float> vectors) {
      const MatrixView<const float> items = model.items.matrix(model.n_items, model.dim);
      const std::vector<float>& weights = queries.purchases().values;
      if (std::ranges::all_of(weights, [](float w) { return w > 0.0f; })) {
        solve_half(where, queries.device_purchases().view(), binary, items, gram->matrix(model.dim, model.dim), l2,
                   alpha, vectors);
      } else {
        const DeviceCsr positive(where, with_positive_weights(queries.purchases()));
        solve_half(where, positive.view(), binary, items, gram->matrix(model.dim, model.dim), l2, alpha, vectors);
      }
    };
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors{{"users", {n_users(), dim_}, users_.to_host()},
                                     {"items", {n_items(), dim_}, items_.to_host()},
                                     {"l2_alpha", {2}, std::vector<float>{learned_l2_, learned_alpha_}}};
    if (!cold_.empty()) tensors.push_back({"cold_items", {std::ssize(cold_)}, cold_});
    return tensors;
  }

  void restore(Context& context, const Tensors& tensors) override {
    dim_ = tensors.matrix_shape("items").second;
    if (dim_ < 1 || dim_ > sparse::kAlsMostDim) throw_bad_tensor("items", "has a width that the model cannot have");
    users_ = Buffer<float>(context, tensors.matrix("users", n_users(), dim_));
    items_ = Buffer<float>(context, tensors.matrix("items", n_items(), dim_));
    cold_ = tensors.has("cold_items") ? tensors.vector<int32_t>("cold_items", -1) : std::vector<int32_t>();
    if (!std::ranges::all_of(cold_, [&](int32_t i) { return i >= 0 && i < n_items(); })) {
      throw_bad_tensor("cold_items", "names an item that the model does not have");
    }
    const std::vector<float>& numbers = tensors.vector<float>("l2_alpha", 2);
    if (!(numbers[0] >= 0.0f && std::isfinite(numbers[0]) && numbers[1] > 0.0f && std::isfinite(numbers[1]))) {
      throw_bad_tensor("l2_alpha", "holds numbers that the model cannot have");
    }
    learned_l2_ = numbers[0];
    learned_alpha_ = numbers[1];
  }

  Vectors item_vectors(Context& context) const override { return {n_items(), dim_, copy_of(context, items_)}; }
  Vectors user_vectors(Context& context) const override { return {n_users(), dim_, copy_of(context, users_)}; }

 private:
  MatrixView<const float> user_matrix() const { return users_.matrix(n_users(), dim_); }
  MatrixView<const float> item_matrix() const { return items_.matrix(n_items(), dim_); }

  /// The Gram matrix that the users' equations were solved with: there the vectors of items that nobody bought were 0.
  Buffer<double> gram_of_bought(Context& context) const {
    std::vector<float> items = items_.to_host();
    for (const int32_t i : cold_) std::fill_n(items.begin() + i * dim_, dim_, 0.0f);
    const Buffer<float> bought(context, items);
    return gram_of(context, bought.matrix(n_items(), dim_));
  }

  bool is_binary() const { return target_ == "one"; }

  HostCsr weights_of(const Purchases& purchases) const {
    HostCsr weights = weight_ == "recency" ? purchases.train : purchases.train_counts;
    for (float& w : weights.values) {
      if (weight_ == "one") w = 1.0f;
      if (weight_ == "log") w = std::log1p(w);
      w = std::max(w, kAlsLeastWeight);
    }
    return weights;
  }

  /// The tries of l2, then those of sweeps, among which is the one that was kept.
  static FitReport joined(const FitReport& first, FitReport second) {
    const int64_t before = std::ssize(first.epochs);
    second.best_epoch += before;
    second.chosen.insert(first.chosen.begin(), first.chosen.end());
    std::vector<EpochReport> epochs = first.epochs;
    for (EpochReport epoch : second.epochs) {
      epoch.epoch += before;
      epochs.push_back(epoch);
    }
    second.epochs = std::move(epochs);
    return second;
  }

  int64_t dim_ = 128, sweeps_ = 0;
  double l2_ = 0.0, alpha_ = 10.0;
  std::string weight_ = "recency", target_ = "weight";
  float learned_l2_ = 0.0f, learned_alpha_ = 1.0f;
  int64_t sweeps_done_ = 0;
  Buffer<float> users_;        // [n_users, dim] x
  Buffer<float> items_;        // [n_items, dim] y
  std::vector<int32_t> cold_;  // items that nobody bought, whose y is of their features
};

}  // namespace

std::unique_ptr<Recommender> make_als() { return std::make_unique<Als>(); }

}  // namespace sheaf
