#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/metrics/binary.hpp"
#include "kernels/metrics/ranking.hpp"
#include "tests/reference/metrics.hpp"

namespace sheaf::bench {
namespace {

// The oracle compares all pairs, so it sees a part: the op runs on that part as well.
constexpr int64_t kBinarySample = 5000;

std::vector<uint8_t> random_labels(int64_t n, uint32_t seed) {
  const std::vector<int32_t> labels = test::random_ints(n, seed, 0, 1);
  return {labels.begin(), labels.end()};
}

class Binary final : public Case {
 public:
  Binary(Context& context, const Shape& shape)
      : context_(context),
        host_probabilities_(test::random_floats(shape["n"], 50, 0.0f, 1.0f)),
        host_labels_(random_labels(shape["n"], 51)),
        probabilities_(context, host_probabilities_),
        labels_(context, host_labels_),
        out_(poisoned<double>(context, metrics::kBinaryColumns)),
        args_{probabilities_.view(), labels_.view(), out_.view()} {}

  void run() override { metrics::binary(context_, args_); }

  std::string fault() override {
    const std::vector<double> out = out_.to_host();
    const int64_t n = std::min(kBinarySample, probabilities_.size());
    metrics::BinaryArgs part = args_;
    part.probabilities.size = part.labels.size = n;
    metrics::binary(context_, part);
    const std::vector<double> part_out = out_.to_host();
    const auto expected = ref::binary({host_probabilities_.begin(), host_probabilities_.begin() + n},
                                      {host_labels_.begin(), host_labels_.begin() + n});
    // Sums of n doubles of at most -log(1e-7) < 17; AUC is exact until one division.
    const double bound = static_cast<double>(n) * 0x1.0p-53 * 17.0 * 8.0;
    std::string fault = difference("whole", metrics::kBrier, out[metrics::kBrier], whole_brier(),
                                   static_cast<double>(host_labels_.size()) * 0x1.0p-52);
    for (int c = 0; c < metrics::kBinaryColumns && fault.empty(); ++c) {
      const auto at = static_cast<size_t>(c);
      fault = difference("part", c, part_out[at], expected[at], bound);
    }
    return fault;
  }

  OpCost cost() const override { return metrics::binary_cost(args_); }

 private:
  double whole_brier() const {
    double sum = 0.0;
    for (size_t i = 0; i < host_labels_.size(); ++i) {
      const double error = static_cast<double>(host_probabilities_[i]) - host_labels_[i];
      sum += error * error;
    }
    return sum / static_cast<double>(host_labels_.size());
  }

  Context& context_;
  std::vector<float> host_probabilities_;
  std::vector<uint8_t> host_labels_;
  Buffer<float> probabilities_;
  Buffer<uint8_t> labels_;
  Buffer<double> out_;
  metrics::BinaryArgs args_;
};

// Lists of different items, each user's from another start.
std::vector<int32_t> lists(int64_t n_users, int64_t length, int64_t n_items) {
  std::vector<int32_t> top;
  for (int64_t u = 0; u < n_users; ++u) {
    for (int64_t r = 0; r < length; ++r) top.push_back(static_cast<int32_t>((u * 17 + r * 7) % n_items));
  }
  return top;
}

class Ranking final : public Case {
 public:
  Ranking(Context& context, const Shape& shape)
      : context_(context),
        length_(shape["list"]),
        host_truth_(popular_csr(shape["n_users"], shape["n_items"], 20, 52, false)),
        host_top_(lists(shape["n_users"], length_, shape["n_items"])),
        truth_(context, host_truth_),
        top_(context, host_top_),
        per_user_(poisoned<float>(context, shape["n_users"] * metrics::kRankingColumns)),
        args_{.top_items = top_.matrix(shape["n_users"], length_),
              .truth = truth_.view(),
              .k = length_,
              .per_user = per_user_.matrix(shape["n_users"], metrics::kRankingColumns)} {}

  void run() override { metrics::ranking(context_, args_); }

  std::string fault() override {
    const std::vector<float> got = per_user_.to_host();
    std::string fault;
    for (const int64_t u : spread(host_truth_.n_rows(), 2000)) {
      const auto row = static_cast<size_t>(u);
      const std::vector<int32_t> list(host_top_.begin() + u * length_, host_top_.begin() + (u + 1) * length_);
      const std::set<int32_t> truth(host_truth_.columns.begin() + host_truth_.row_offsets[row],
                                    host_truth_.columns.begin() + host_truth_.row_offsets[row + 1]);
      const auto expected = ref::ranking(list, truth, length_);
      for (int64_t c = 0; c < metrics::kRankingColumns && fault.empty(); ++c) {
        const int64_t place = u * metrics::kRankingColumns + c;
        fault =
            difference("per_user", place, got[static_cast<size_t>(place)], expected[static_cast<size_t>(c)], 0x1.0p-24);
      }
    }
    return fault;
  }

  OpCost cost() const override { return metrics::ranking_cost(args_); }

 private:
  Context& context_;
  int64_t length_;
  test::HostCsr host_truth_;
  std::vector<int32_t> host_top_;
  test::DeviceCsr truth_;
  Buffer<int32_t> top_;
  Buffer<float> per_user_;
  metrics::RankingArgs args_;
};

}  // namespace

void add_metrics(Suite& suite) {
  suite.add<Binary>("metrics", "binary", {{{"n", 200000}}}, {{{"n", 1 << 24}}});
  suite.add<Ranking>("metrics", "ranking", {{{"n_users", 20000}, {"n_items", 4000}, {"list", 20}}},
                     {{{"n_users", 1000000}, {"n_items", 100000}, {"list", 20}}});
}

}  // namespace sheaf::bench
