// User-kNN of next-basket recommenders (UP-CF, Faggioli et al. 2020; TIFU-KNN, Hu et al. 2020):
//
//   score(u, i) = r(u, i) + w * sum over neighbours v of s(u, v) r(v, i) / sum over neighbours v of s(u, v)
//                 + 0.001 * share of i in all r
//
// with the rates r and the likeness s of engine/associate/similar_users.hpp. w is chosen on the validation period. The
// last term orders what no neighbour has bought.

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/associate/similar_users.hpp"
#include "engine/models/choose.hpp"
#include "engine/scoring/product_scorer.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kUsualWeight = 1.0;                                    // one of those tried
constexpr double kTriedWeights[] = {0.1, 0.3, 1.0, 3.0, 10.0, 1000.0};  // of the neighbours, where validation chooses
constexpr double kShareWeight = 1e-3;

/// [rates; identity]: columns of a row of scores are users, then items.
HostCsr stacked_on_identity(const HostCsr& rates) {
  HostCsr stacked = rates;
  for (int32_t i = 0; i < rates.n_columns; ++i) {
    stacked.columns.push_back(i);
    stacked.values.push_back(1.0f);
    stacked.row_offsets.push_back(stacked.nnz());
  }
  return stacked;
}

/// Row u: the neighbours of u with their weights, then u's own items with their rates.
HostCsr with_own_items(const HostCsr& neighbours, const HostCsr& rates, float weight) {
  HostCsr rows;
  rows.n_columns = neighbours.n_columns + rates.n_columns;
  for (int64_t u = 0; u < rates.n_rows(); ++u) {
    for (int64_t e = neighbours.row_offsets[static_cast<size_t>(u)];
         e < neighbours.row_offsets[static_cast<size_t>(u) + 1]; ++e) {
      rows.columns.push_back(neighbours.columns[static_cast<size_t>(e)]);
      rows.values.push_back(weight * neighbours.values[static_cast<size_t>(e)]);
    }
    for (int64_t e = rates.row_offsets[static_cast<size_t>(u)]; e < rates.row_offsets[static_cast<size_t>(u) + 1];
         ++e) {
      rows.columns.push_back(static_cast<int32_t>(neighbours.n_columns) + rates.columns[static_cast<size_t>(e)]);
      rows.values.push_back(rates.values[static_cast<size_t>(e)]);
    }
    rows.row_offsets.push_back(rows.nnz());
  }
  return rows;
}

class UserKnn final : public Recommender {
 public:
  std::string_view name() const override { return "user-knn"; }
  std::string_view about() const override { return "what users buy who buy alike, beside the user's own purchases"; }

  std::vector<SettingGroup> settings() override {
    return {
        {"user-knn",
         {{"neighbours", "of a user", &neighbours_, 1, 256},
          {"half_life_days", "days after which a basket counts half", &half_life_days_, 1e-3, 1e6},
          {"weight",
           "of the neighbours beside the user's own purchases; 0: the best of 0.1 to 1000 on the validation period, "
           "else 1",
           &weight_, 0.0, 1e6}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const BasketHistory history = training_baskets(data.purchases, data.n_users);
    if (history.items.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    rates_ = basket_rates(history, history.last_day(), half_life_days_);
    similar_ = similar_users(context, rates_, rates_, neighbours_, true);
    scale_rows_to_one(similar_);
    share_ = share_of_rates();
    FitReport report = choose_on_validation(
        context, data, options,
        {.section = "user-knn", .key = "weight", .given = weight_, .usual = kUsualWeight, .tries = kTriedWeights},
        [&](double weight) {
          learned_weight_ = static_cast<float>(weight);
          return scorer(context);
        },
        [] {});
    learned_weight_ = static_cast<float>(report.chosen.at("weight"));
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    return std::make_unique<ProductScorer>(
        context,
        ProductParts{.rows = with_own_items(similar_, rates_, learned_weight_),
                     .right = stacked_on_identity(rates_),
                     .item_bias = share_,
                     .rows_of_strangers = [rates = rates_, k = neighbours_, weight = learned_weight_](
                                              Context& where, const Queries& queries, int64_t first, int64_t count) {
                       return rows_of_strangers(where, rates, k, weight, queries, first, count);
                     }});
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors{{"weight", {1}, std::vector<float>{learned_weight_}},
                                     {"share", {n_items()}, share_}};
    add_csr(tensors, "rates", rates_);
    add_csr(tensors, "similar", similar_);
    return tensors;
  }

  void restore(Context&, const Tensors& tensors) override {
    learned_weight_ = tensors.vector<float>("weight", 1)[0];
    share_ = tensors.vector<float>("share", n_items());
    rates_ = tensors.csr("rates", n_users(), n_items());
    similar_ = tensors.csr("similar", n_users(), n_users());
    if (std::ssize(rates_.values) != rates_.nnz() || std::ssize(similar_.values) != similar_.nnz()) {
      throw_bad_tensor(rates_.values.empty() ? "rates.values" : "similar.values", "is missing");
    }
  }

 private:
  std::vector<float> share_of_rates() const {
    std::vector<double> sums(static_cast<size_t>(n_items()), 0.0);
    double total = 0.0;
    for (size_t e = 0; e < rates_.columns.size(); ++e) {
      sums[static_cast<size_t>(rates_.columns[e])] += static_cast<double>(rates_.values[e]);
      total += static_cast<double>(rates_.values[e]);
    }
    std::vector<float> share;
    for (const double sum : sums) share.push_back(total > 0.0 ? static_cast<float>(kShareWeight * sum / total) : 0.0f);
    return share;
  }

  /// Nothing is known of the times of a stranger's purchases: their weights are the share of baskets.
  static HostCsr rows_of_strangers(Context& context, const HostCsr& rates, int64_t k, float weight,
                                   const Queries& queries, int64_t first, int64_t count) {
    HostCsr own = row_block(queries.purchases(), first, count);
    if (own.values.empty()) own.values.assign(own.columns.size(), 1.0f);
    for (int64_t u = 0; u < own.n_rows(); ++u) {
      const auto begin = own.values.begin() + own.row_offsets[static_cast<size_t>(u)];
      const auto end = own.values.begin() + own.row_offsets[static_cast<size_t>(u) + 1];
      const float most =
          std::max(1.0f, std::accumulate(begin, end, 0.0f, [](float a, float b) { return std::max(a, b); }));
      std::for_each(begin, end, [most](float& value) { value = std::max(0.0f, value) / (most + 1.0f); });
    }
    HostCsr similar = similar_users(context, own, rates, k, false);
    scale_rows_to_one(similar);
    return with_own_items(similar, own, weight);
  }

  int64_t neighbours_ = 150;
  double half_life_days_ = 90.0, weight_ = 0.0;
  float learned_weight_ = 1.0f;
  std::vector<float> share_;  // [n_items] of all rates, times its weight
  HostCsr rates_;             // [n_users, n_items] r
  HostCsr similar_;           // [n_users, n_users] s, a row sums to 1
};

}  // namespace

std::unique_ptr<Recommender> make_user_knn() { return std::make_unique<UserKnn>(); }

}  // namespace sheaf
