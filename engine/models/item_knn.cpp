// Item-kNN (Deshpande and Karypis, 2004): score(u, i) = sum over what u bought of weight(u, j) * similarity(j, i). The
// similarity is that of engine/associate/item_neighbours.hpp; an item is its own neighbour with similarity 1, so that
// what was bought is recommended again unless it is left out. The number of neighbours is chosen on the validation
// period.

#include <memory>
#include <utility>

#include "engine/associate/item_neighbours.hpp"
#include "engine/models/choose.hpp"
#include "engine/scoring/item_scorer.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kUsualItems = 100.0;                         // one of those tried
constexpr double kTriedItems[] = {10.0, 30.0, 100.0, 250.0};  // neighbours, where validation chooses

class ItemKnn final : public Recommender {
 public:
  std::string_view name() const override { return "item-knn"; }
  std::string_view about() const override { return "items that the same users buy, by cosine"; }

  std::vector<SettingGroup> settings() override {
    return {{"item-knn",
             {{"neighbours", "of an item; 0: the best of 10, 30, 100 and 250 on the validation period, else 100",
               &neighbours_, 0, 256},
              {"shrink", "added to the product of two items' lengths: rare items are less sure", &shrink_, 0.0, 1e6}}}};
  }

  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override {
    const Purchases& purchases = data.purchases;
    if (purchases.train.nnz() == 0) {
      throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
    }
    set_size(data.n_users, data.catalog.n_items);
    weights_ = purchases.train;
    HostCsr kept;
    FitReport report = choose_on_validation(
        context, data, options,
        {.section = "item-knn",
         .key = "neighbours",
         .given = static_cast<double>(neighbours_),
         .usual = kUsualItems,
         .tries = kTriedItems},
        [&](double neighbours) {
          const auto n = static_cast<int64_t>(neighbours);
          // A row of the matrix is what an item says of the others.
          similarity_ = transpose(with_diagonal(item_neighbours(context, purchases.train_counts, n, shrink_)));
          return scorer(context);
        },
        [&] { kept = similarity_; });
    similarity_ = std::move(kept);
    return report;
  }

  std::unique_ptr<Scorer> scorer(Context& context) const override {
    ItemSimilarity similarity{.n_items = n_items(), .sparse = DeviceCsr(context, similarity_), .dense = {}};
    return std::make_unique<ItemScorer>(context, weights_, std::move(similarity));
  }

  std::vector<NamedTensor> tensors() const override {
    std::vector<NamedTensor> tensors;
    add_csr(tensors, "similarity", similarity_);
    add_csr(tensors, "purchases", weights_);
    return tensors;
  }

  void restore(Context&, const Tensors& tensors) override {
    similarity_ = tensors.csr("similarity", n_items(), n_items());
    weights_ = tensors.csr("purchases", n_users(), n_items());
  }

 private:
  int64_t neighbours_ = 0;
  double shrink_ = 10.0;
  HostCsr weights_;     // [n_users, n_items]
  HostCsr similarity_;  // [n_items, n_items] of what was bought, to what is recommended
};

}  // namespace

std::unique_ptr<Recommender> make_item_knn() { return std::make_unique<ItemKnn>(); }

}  // namespace sheaf
