// What a user bought before; newer purchases count more. score(u, i) = sum over u's baskets b that hold i of 2^(-age of
// b / half-life), plus a little of the same sum over all users, which orders what the user has not bought. The
// half-life is chosen on the validation period.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "engine/models/choose.hpp"
#include "engine/scoring/item_scorer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kUsualDays = 90.0;                                                // one of those tried
constexpr double kTriedDays[] = {7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 1e6};  // days, where validation chooses
constexpr double kSecondsPerDay = 86400.0;

class Personal final : public Recommender {
 public:
  std::string_view name() const override { return "personal"; }
  std::string_view about() const override { return "what the user bought before, the newer the more"; }

  std::vector<SettingGroup> settings() override {
    return {
        {"personal",
         {{"half_life_days",
           "days after which a purchase counts half; 0: the best of 7 to 365 and no decay on the validation period, "
           "else 90",
           &half_life_days_, 0.0, 1e6},
          {"popularity", "weight of what all users buy beside the user's own purchases", &popularity_, 0.0, 1e6}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const Purchases& purchases = data.purchases;
    if (purchases.train_baskets.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    FitReport report = choose_on_validation(
        context, data, options,
        {.section = "personal",
         .key = "half_life_days",
         .given = half_life_days_,
         .usual = kUsualDays,
         .tries = kTriedDays},
        [&](double half_life) {
          learn(purchases, half_life);
          return scorer(context);
        },
        [] {});
    learn(purchases, report.chosen.at("half_life_days"));
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    return std::make_unique<ItemScorer>(context, own_, ItemSimilarity{.n_items = n_items(), .sparse = {}, .dense = {}},
                                        everyone_);
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors{{"everyone", {n_items()}, everyone_}};
    add_csr(tensors, "own", own_);
    return tensors;
  }

  void restore(Context&, const Tensors& tensors) override {
    own_ = tensors.csr("own", n_users(), n_items());
    everyone_ = tensors.vector<float>("everyone", n_items());
  }

 private:
  void learn(const Purchases& purchases, double half_life_days) {
    const std::vector<int64_t>& time = purchases.train_basket_time;
    const int64_t last = *std::ranges::max_element(time);
    std::vector<int32_t> users, items;
    std::vector<float> weights;
    std::vector<double> sums(static_cast<size_t>(n_items()), 0.0);
    double total = 0.0;
    for (int64_t b = 0; b < purchases.train_baskets.n_rows(); ++b) {
      check_interrupt("training");
      const double age = static_cast<double>(last - time[static_cast<size_t>(b)]) / kSecondsPerDay;
      const double weight = std::exp2(-age / half_life_days);
      for (const int32_t item : purchases.train_baskets.row(b)) {
        users.push_back(purchases.train_basket_user[static_cast<size_t>(b)]);
        items.push_back(item);
        weights.push_back(static_cast<float>(weight));
        sums[static_cast<size_t>(item)] += weight;
        total += weight;
      }
    }
    own_ = csr_from_pairs(users, items, weights, n_users(), n_items());
    everyone_.clear();
    for (const double sum : sums) everyone_.push_back(static_cast<float>(popularity_ * sum / total));
  }

  double half_life_days_ = 0.0, popularity_ = 1.0;
  HostCsr own_;                  // [n_users, n_items] decayed baskets of each user
  std::vector<float> everyone_;  // [n_items] share of all decayed purchases, times the weight
};

}  // namespace

std::unique_ptr<Recommender> make_personal() { return std::make_unique<Personal>(); }

}  // namespace sheaf
