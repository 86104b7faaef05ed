#include <algorithm>
#include <numeric>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/core/scan.hpp"
#include "kernels/core/sort.hpp"

namespace sheaf::bench {
namespace {

std::vector<uint32_t> random_keys(int64_t n, int64_t key_bits) {
  std::mt19937 engine(10);
  std::vector<uint32_t> keys(static_cast<size_t>(n));
  for (uint32_t& key : keys) key = static_cast<uint32_t>(engine()) >> (32 - key_bits);
  return keys;
}

std::vector<uint32_t> numbered(int64_t n) {
  std::vector<uint32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0u);
  return values;
}

class SortPairs final : public Case {
 public:
  SortPairs(Context& context, const Shape& shape)
      : context_(context),
        host_keys_(random_keys(shape["n"], shape["key_bits"])),
        keys_(context, host_keys_),
        values_(context, numbered(shape["n"])),
        sorted_keys_(poisoned<uint32_t>(context, shape["n"])),
        sorted_values_(poisoned<uint32_t>(context, shape["n"])),
        args_{keys_.view(), values_.view(), static_cast<int>(shape["key_bits"]), sorted_keys_.view(),
              sorted_values_.view()} {}

  void run() override { sort_pairs(context_, args_); }

  std::string fault() override {
    std::vector<uint32_t> order = numbered(keys_.size());
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return host_keys_[a] < host_keys_[b]; });
    const std::vector<uint32_t> keys = sorted_keys_.to_host();
    for (size_t i = 0; i < order.size(); ++i) {
      if (keys[i] != host_keys_[order[i]]) return "sorted_keys[" + std::to_string(i) + "] is wrong";
    }
    return sorted_values_.to_host() == order ? "" : "the order is not the stable one";
  }

  OpCost cost() const override {
    return {.bytes = 4 * keys_.size() * static_cast<int64_t>(sizeof(uint32_t)), .flops = 0};
  }

 private:
  Context& context_;
  std::vector<uint32_t> host_keys_;
  Buffer<uint32_t> keys_, values_, sorted_keys_, sorted_values_;
  SortPairsArgs args_;
};

class ExclusiveScan final : public Case {
 public:
  ExclusiveScan(Context& context, const Shape& shape)
      : context_(context),
        host_(draw(shape["n"])),
        in_(context, host_),
        out_(poisoned<int64_t>(context, shape["n"] + 1)) {}

  void run() override { exclusive_scan(context_, {in_.view(), out_.view()}); }

  std::string fault() override {
    std::vector<int64_t> expected(host_.size() + 1);
    std::partial_sum(host_.begin(), host_.end(), expected.begin() + 1);
    return out_.to_host() == expected ? "" : "out is not the prefix sum";
  }

  OpCost cost() const override { return {.bytes = 2 * in_.size() * static_cast<int64_t>(sizeof(int64_t)), .flops = 0}; }

 private:
  static std::vector<int64_t> draw(int64_t n) {
    const std::vector<int32_t> values = test::random_ints(n, 11, 0, 100);
    return {values.begin(), values.end()};
  }

  Context& context_;
  std::vector<int64_t> host_;
  Buffer<int64_t> in_, out_;
};

}  // namespace

void add_core(Suite& suite) {
  suite.add<ExclusiveScan>("core", "exclusive_scan", {{{"n", 1 << 20}}}, {{{"n", 1 << 28}}});
  suite.add<SortPairs>("core", "sort_pairs", {{{"n", 1 << 19}, {"key_bits", 17}}},
                       {{{"n", 1 << 24}, {"key_bits", 20}}, {{"n", 1 << 26}, {"key_bits", 32}}});
}

}  // namespace sheaf::bench
