#include "host/app/anchors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "host/app/search_params.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kDaySeconds = 86400;

/// Of each item, by train: when it was first sold, and purchases of late minus those before.
struct Sales {
  Sales(const data::Prepared& prepared, int64_t days)
      : first(static_cast<size_t>(prepared.n_items), std::numeric_limits<int64_t>::max()), gain(first.size(), 0) {
    int64_t last = std::numeric_limits<int64_t>::min();
    const size_t n = prepared.item.size();
    for (size_t i = 0; i < n; ++i) {
      if (prepared.split[i] == data::kTrain) last = std::max(last, prepared.timestamp[i]);
    }
    begin = last - days * kDaySeconds;
    for (size_t i = 0; i < n; ++i) {
      if (prepared.split[i] != data::kTrain) continue;
      const auto item = static_cast<size_t>(prepared.item[i]);
      const int64_t time = prepared.timestamp[i];
      first[item] = std::min(first[item], time);
      if (time > begin) {
        ++gain[item];
      } else if (time > begin - days * kDaySeconds) {
        --gain[item];
      }
    }
  }

  bool is_new(int32_t item) const {
    const int64_t time = first[static_cast<size_t>(item)];
    return time > begin && time != std::numeric_limits<int64_t>::max();
  }

  int64_t begin = 0;  // of the last days
  std::vector<int64_t> first, gain;
};

}  // namespace

std::vector<int32_t> choose_anchors(const data::Prepared& prepared, const config::Config& config,
                                    const std::vector<float>& wanted, const std::vector<int32_t>& forbidden) {
  std::vector<uint8_t> left_out(wanted.size());
  for (const int32_t item : forbidden) left_out[static_cast<size_t>(item)] = 1;
  std::vector<int32_t> items;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (left_out[i] == 0) items.push_back(static_cast<int32_t>(i));
  }
  if (items.empty()) {
    throw NoBundle("search.forbidden and search.categories leave no item for a bundle",
                   "take items out of search.forbidden, or name more categories");
  }
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return wanted[static_cast<size_t>(i)]; });

  const auto& search = config.search;
  if (search.anchor_by != "wanted") {
    const Sales sales(prepared, search.anchor_days);
    const auto gain = [&](int32_t i) { return sales.gain[static_cast<size_t>(i)]; };
    const bool trending = search.anchor_by == "trending";
    std::erase_if(items, [&](int32_t i) { return trending ? gain(i) <= 0 : !sales.is_new(i); });
    if (trending) std::ranges::stable_sort(items, std::ranges::greater{}, gain);
    if (items.empty()) {
      throw NoBundle(
          fmt::format("search.anchor_by = {}: no item that may be in a bundle {} in the last {} days of train",
                      search.anchor_by, trending ? "sold more than before" : "was first sold", search.anchor_days),
          "change search.anchor_days, or take search.anchor_by = wanted");
    }
  }
  items.resize(std::min(items.size(), static_cast<size_t>(search.anchors)));
  return items;
}

}  // namespace sheaf::app
