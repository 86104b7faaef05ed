#include <algorithm>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/sample/batch.hpp"
#include "tests/reference/sample.hpp"

namespace sheaf::bench {
namespace {

// The users' column of a CSR matrix: its row number beside every entry.
std::vector<int32_t> row_numbers(const test::HostCsr& csr) {
  std::vector<int32_t> rows;
  for (int64_t row = 0; row < csr.n_rows(); ++row) {
    const auto at = static_cast<size_t>(row);
    rows.insert(rows.end(), static_cast<size_t>(csr.row_offsets[at + 1] - csr.row_offsets[at]),
                static_cast<int32_t>(row));
  }
  return rows;
}

ref::AliasTable item_popularity(const test::HostCsr& taken) {
  std::vector<double> counts(static_cast<size_t>(taken.n_columns), 1.0);
  for (const int32_t item : taken.columns) counts[static_cast<size_t>(item)] += 1.0;
  return ref::alias_table(counts);
}

class DrawBatch final : public Case {
 public:
  DrawBatch(Context& context, const Shape& shape)
      : context_(context),
        host_taken_(popular_csr(shape["n_users"], shape["n_items"], 50, 40, false)),
        popularity_(item_popularity(host_taken_)),
        taken_(context, host_taken_),
        users_(context, row_numbers(host_taken_)),
        items_(context, host_taken_.columns),
        alias_threshold_(context, popularity_.threshold),
        alias_item_(context, popularity_.item),
        batch_users_(poisoned<int32_t>(context, shape["n_batch"])),
        batch_items_(poisoned<int32_t>(context, shape["n_batch"] * (1 + shape["negatives"]))),
        args_{.seed = 41,
              .users = users_.view(),
              .items = items_.view(),
              .weights = {},
              .taken = taken_.view(),
              .alias_threshold = alias_threshold_.view(),
              .alias_item = alias_item_.view(),
              .batch_users = batch_users_.view(),
              .batch_items = batch_items_.matrix(shape["n_batch"], 1 + shape["negatives"]),
              .batch_weights = {}} {}

  void run() override { sample::batch(context_, args_); }

  // The draws themselves are a test's matter; here every positive is one and no negative is.
  std::string fault() override {
    const std::vector<int32_t> users = batch_users_.to_host(), items = batch_items_.to_host();
    const auto group = static_cast<size_t>(args_.batch_items.cols);
    int64_t taken_negatives = 0;
    for (size_t b = 0; b < users.size(); ++b) {
      if (users[b] < 0 || users[b] >= host_taken_.n_rows()) return "row " + std::to_string(b) + " has no user";
      for (size_t g = 0; g < group; ++g) {
        const int32_t item = items[b * group + g];
        if (item < 0 || item >= host_taken_.n_columns) return "row " + std::to_string(b) + " has an unknown item";
        const bool taken = holds(users[b], item);
        if (g == 0 && !taken) return "row " + std::to_string(b) + " starts with no positive";
        if (g > 0 && taken) ++taken_negatives;
      }
    }
    // The last of kMaxTries draws stands: rare even for a user who has taken half of what is popular.
    return 1000 * taken_negatives > static_cast<int64_t>(items.size()) ? "negatives were taken" : "";
  }

  OpCost cost() const override { return sample::batch_cost(args_); }

 private:
  bool holds(int32_t user, int32_t item) const {
    const auto row = static_cast<size_t>(user);
    const auto begin = host_taken_.columns.begin();
    return std::binary_search(begin + host_taken_.row_offsets[row], begin + host_taken_.row_offsets[row + 1], item);
  }

  Context& context_;
  test::HostCsr host_taken_;
  ref::AliasTable popularity_;
  test::DeviceCsr taken_;
  Buffer<int32_t> users_, items_;
  Buffer<float> alias_threshold_;
  Buffer<int32_t> alias_item_, batch_users_, batch_items_;
  sample::BatchArgs args_;
};

}  // namespace

void add_sample(Suite& suite) {
  suite.add<DrawBatch>("sample", "batch",
                       {{{"n_users", 20000}, {"n_items", 4000}, {"n_batch", 8192}, {"negatives", 4}}},
                       {{{"n_users", 1000000}, {"n_items", 100000}, {"n_batch", 1 << 20}, {"negatives", 4}}});
}

}  // namespace sheaf::bench
