// Truncated singular value decomposition of the weights of users and items: PureSVD (Cremonesi, Koren, Turrin,
// "Performance of recommender algorithms on top-n recommendation tasks", 2010) with the items' scaling of EigenRec
// (Nikolakopoulos et al., 2019), and principal components.
//
//   score(u, i) = (((w_u D - m) V V^T + m) D^-1)_i        D = diagonal of |w_i|^-s, of column i of the weights
//
// w_u are the user's weights and V [n_items, dim] the right singular vectors of the matrix of all w_u D - m for the
// largest singular values. m is the column mean of the w_u D where `centred`, else 0. So the score is what the nearest
// matrix of that rank says. As user vectors w_u D V, item vectors V D^-1 and the item bias (m - m V V^T) D^-1 it is
// linear, and people whom the model never saw get their vector by the same product.

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/layers/parameter.hpp"
#include "engine/models/choose.hpp"
#include "engine/models/cold_items.hpp"
#include "engine/models/truncated_svd.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/sparse/spmm.hpp"

namespace sheaf {
namespace {

constexpr double kSvdUsualDim = 64.0;  // one of those tried
constexpr double kSvdTriedDims[] = {8.0, 16.0, 32.0, 64.0, 96.0, 128.0, 192.0, 256.0};

class Svd final : public Recommender {
 public:
  std::string_view name() const override { return "svd"; }
  std::string_view about() const override { return "a truncated singular value decomposition of users and items"; }

  std::vector<SettingGroup> settings() override {
    return {
        {"svd",
         {{"dim",
           "singular values that are kept; 0: the best of 8 to 256 on the validation period, else 64; no more than "
           "the data has",
           &dim_, 0, 1024},
          {"weight",
           "of a purchase: 1 each, the logarithm of 1 + times bought, or its recency weight",
           &weight_,
           {"log", "one", "recency"}},
          {"scale", "power of a column's length by which it is divided: 0 none, 1 to unit length", &power_, -2.0, 2.0},
          {"centred", "subtract the items' means first: principal components", &centred_},
          {"iterations", "of the subspace, more are more exact", &iterations_, 0, 1000}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    if (data.purchases.train.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    const HostCsr weights = weights_of(data.purchases);
    scale_ = column_scales(weights);
    HostCsr scaled = weights;
    for (size_t e = 0; e < scaled.columns.size(); ++e)
      scaled.values[e] *= scale_[static_cast<size_t>(scaled.columns[e])];
    const std::vector<float> mean = centred_ ? column_means(scaled) : std::vector<float>();
    // The largest dim that may be asked for; smaller ones are parts of it.
    const auto chosen = options.chosen.find("dim");
    int64_t most = dim_;
    if (most == 0) {
      most = static_cast<int64_t>(chosen != options.chosen.end()        ? chosen->second
                                  : data.purchases.validation.nnz() > 0 ? *std::ranges::max_element(kSvdTriedDims)
                                                                        : kSvdUsualDim);
    }
    const TruncatedSvd all = truncated_svd(context, scaled, mean, most, iterations_, options.seed);
    if (all.dim == 0) {
      throw DataError("all users bought the same, in the same amounts: nothing is left beside the items' means",
                      "set svd.centred = false");
    }
    const DeviceCsr device_weights(context, weights);
    Learned kept;
    FitReport report = choose_on_validation(
        context, data, options,
        {.section = "svd",
         .key = "dim",
         .given = static_cast<double>(dim_),
         .usual = kSvdUsualDim,
         .tries = kSvdTriedDims},
        [&](double dim) {
          learn(context, all, static_cast<int64_t>(dim), mean, device_weights);
          return scorer(context);
        },
        [&] { std::swap(kept, learned_); });
    learned_ = std::move(kept);
    describe_cold_items(context, data, options);
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    LinearParts parts{.n_users = n_users(),
                      .n_items = n_items(),
                      .dim = learned_.dim,
                      .users = Buffer<float>(context, learned_.users),
                      .items = Buffer<float>(context, scaled_right()),
                      .item_bias = Buffer<float>(context, learned_.item_bias)};
    struct Encoder {
      Buffer<float> scale, right;
    };
    parts.encode = [with = std::make_shared<Encoder>(
                        Encoder{Buffer<float>(context, scale_), Buffer<float>(context, learned_.right)})](
                       Context& where, const LinearParts& model, const Queries& queries, MatrixView<float> vectors) {
      sparse::spmm(where, {.graph = queries.device_purchases().view(),
                           .column_scale = with->scale.view(),
                           .in = with->right.matrix(model.n_items, model.dim),
                           .out = vectors});
    };
    return std::make_unique<LinearScorer>(context, std::move(parts));
  }

  std::vector<NamedTensor> tensors() const override {
    return {{"users", {n_users(), learned_.dim}, learned_.users},
            {"right", {n_items(), learned_.dim}, learned_.right},
            {"singular", {learned_.dim}, learned_.singular},
            {"item_bias", {n_items()}, learned_.item_bias},
            {"scale", {n_items()}, scale_}};
  }

  void restore(Context&, const Tensors& tensors) override {
    learned_.dim = tensors.matrix_shape("right").second;
    if (learned_.dim < 1) throw_bad_tensor("right", "has no columns");
    learned_.right = tensors.matrix("right", n_items(), learned_.dim);
    learned_.users = tensors.matrix("users", n_users(), learned_.dim);
    learned_.singular = tensors.vector<float>("singular", learned_.dim);
    learned_.item_bias = tensors.vector<float>("item_bias", n_items());
    scale_ = tensors.vector<float>("scale", n_items());
    if (!std::ranges::all_of(scale_, [](float s) { return s > 0.0f && std::isfinite(s); })) {
      throw_bad_tensor("scale", "holds numbers that the model cannot have");
    }
  }

  Vectors item_vectors(Context& context) const override {
    return {n_items(), learned_.dim, Buffer<float>(context, learned_.right)};
  }
  Vectors user_vectors(Context& context) const override {
    return {n_users(), learned_.dim, Buffer<float>(context, learned_.users)};
  }

 private:
  struct Learned {
    int64_t dim = 0;
    std::vector<float> users;      // [n_users, dim] w_u D V
    std::vector<float> right;      // [n_items, dim] V
    std::vector<float> singular;   // [dim] descending
    std::vector<float> item_bias;  // [n_items] (m - m V V^T) D^-1
  };

  HostCsr weights_of(const Purchases& purchases) const {
    if (weight_ == "recency") return purchases.train;
    HostCsr weights = purchases.train_counts;
    for (float& w : weights.values) w = weight_ == "log" ? std::log1p(w) : 1.0f;
    return weights;
  }

  /// |w_i|^-s; 1 for an item that nobody bought.
  std::vector<float> column_scales(const HostCsr& weights) const {
    std::vector<double> squares(static_cast<size_t>(n_items()), 0.0);
    for (size_t e = 0; e < weights.columns.size(); ++e) {
      squares[static_cast<size_t>(weights.columns[e])] +=
          static_cast<double>(weights.values[e]) * static_cast<double>(weights.values[e]);
    }
    std::vector<float> scales;
    for (const double square : squares) {
      scales.push_back(square > 0.0 ? static_cast<float>(std::pow(square, -power_ / 2.0)) : 1.0f);
    }
    return scales;
  }

  /// By V D^-1, which scores; a cold item has D = 1.
  void describe_cold_items(Context& context, const TrainData& data, const FitOptions& options) {
    ColdItems cold(context, data.catalog, data.purchases.train);
    std::vector<float> items = scaled_right();
    cold.fill(context, items, learned_.dim);
    for (const int32_t i : cold.items()) {
      std::copy_n(items.begin() + i * learned_.dim, learned_.dim, learned_.right.begin() + i * learned_.dim);
    }
    if (centred_) cold.fill_bias(context, learned_.item_bias);
    cold.note(options.on_note);
  }

  /// V D^-1
  std::vector<float> scaled_right() const {
    std::vector<float> items = learned_.right;
    for (size_t at = 0; at < items.size(); ++at) items[at] /= scale_[at / static_cast<size_t>(learned_.dim)];
    return items;
  }

  std::vector<float> column_means(const HostCsr& matrix) const {
    std::vector<double> sums(static_cast<size_t>(n_items()), 0.0);
    for (size_t e = 0; e < matrix.columns.size(); ++e) {
      sums[static_cast<size_t>(matrix.columns[e])] += static_cast<double>(matrix.values[e]);
    }
    std::vector<float> means;
    for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(n_users())));
    return means;
  }

  /// The model of the first `dim` singular vectors.
  void learn(Context& context, const TruncatedSvd& all, int64_t dim, const std::vector<float>& mean,
             const DeviceCsr& weights) {
    learned_ = {};
    learned_.dim = std::min(dim, all.dim);
    for (int64_t k = 0; k < learned_.dim; ++k) {
      learned_.singular.push_back(static_cast<float>(all.singular[static_cast<size_t>(k)]));
    }
    for (int64_t i = 0; i < n_items(); ++i) {
      const auto row = all.right.begin() + i * all.dim;
      learned_.right.insert(learned_.right.end(), row, row + learned_.dim);
    }
    learned_.item_bias = bias_of(mean);
    const Buffer<float> scale(context, scale_), right(context, learned_.right);
    Buffer<float> users(context, n_users() * learned_.dim);
    sparse::spmm(context, {.graph = weights.view(),
                           .column_scale = scale.view(),
                           .in = right.matrix(n_items(), learned_.dim),
                           .out = users.matrix(n_users(), learned_.dim)});
    learned_.users = users.to_host();
  }

  std::vector<float> bias_of(const std::vector<float>& mean) const {
    std::vector<float> bias(static_cast<size_t>(n_items()), 0.0f);
    if (mean.empty()) return bias;
    const auto dim = static_cast<size_t>(learned_.dim);
    std::vector<double> along(dim, 0.0);  // m V
    for (size_t i = 0; i < mean.size(); ++i) {
      for (size_t k = 0; k < dim; ++k) along[k] += static_cast<double>(mean[i]) * learned_.right[i * dim + k];
    }
    for (size_t i = 0; i < mean.size(); ++i) {
      double left = mean[i];
      for (size_t k = 0; k < dim; ++k) left -= along[k] * learned_.right[i * dim + k];
      bias[i] = static_cast<float>(left / scale_[i]);
    }
    return bias;
  }

  int64_t dim_ = 0, iterations_ = 4;
  double power_ = 0.0;
  bool centred_ = false;
  std::string weight_ = "recency";
  Learned learned_;
  std::vector<float> scale_;  // [n_items] D
};

}  // namespace

std::unique_ptr<Recommender> make_svd() { return std::make_unique<Svd>(); }

}  // namespace sheaf
