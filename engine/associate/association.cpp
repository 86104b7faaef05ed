#include "engine/associate/association.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/association/cosine_topk.hpp"
#include "kernels/association/count_topk.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

using association::Measure;

constexpr std::array<std::pair<Measure, const char*>, 7> kMeasures{{{Measure::support, "support"},
                                                                    {Measure::confidence, "confidence"},
                                                                    {Measure::lift, "lift"},
                                                                    {Measure::leverage, "leverage"},
                                                                    {Measure::conviction, "conviction"},
                                                                    {Measure::jaccard, "jaccard"},
                                                                    {Measure::cosine, "count-cosine"}}};
constexpr int64_t kMaxPartners = 256;

int64_t list_length(int64_t k, int64_t n_items) {
  return std::clamp<int64_t>(k, 1, std::clamp<int64_t>(n_items - 1, 1, kMaxPartners));
}

/// Partners while they are on the device.
class PartnerLists {
 public:
  PartnerLists(Context& context, int64_t k, int64_t n_items)
      : n_items_(n_items),
        k_(list_length(k, n_items)),
        items_(context, n_items_ * k_),
        scores_(context, n_items_ * k_) {}
  MatrixView<int32_t> items() { return items_.matrix(n_items_, k_); }
  MatrixView<float> scores() { return scores_.matrix(n_items_, k_); }
  Partners to_host() const {
    Partners partners;
    partners.n_items = n_items_;
    partners.k = k_;
    partners.items = items_.to_host();
    partners.scores = scores_.to_host();
    return partners;
  }

 private:
  int64_t n_items_, k_;
  Buffer<int32_t> items_;
  Buffer<float> scores_;
};

}  // namespace

int64_t PairCounts::count(int32_t i, int32_t j) const {
  const auto begin = companions.begin() + row_offsets[static_cast<size_t>(i)];
  const auto end = companions.begin() + row_offsets[static_cast<size_t>(i) + 1];
  const auto found = std::lower_bound(begin, end, j);
  return found != end && *found == j ? counts[static_cast<size_t>(found - companions.begin())] : 0;
}

PairCounts count_pairs(Context& context, const HostCsr& baskets, int64_t min_count) {
  HostCsr pattern = baskets;
  pattern.values.clear();
  const HostCsr by_item = transpose(pattern);
  const DeviceCsr device_baskets(context, pattern), device_items(context, by_item);
  const association::CooccurrenceArgs args{device_baskets.view(), device_items.view(), static_cast<int32_t>(min_count)};
  const int64_t n_items = pattern.n_columns;
  Buffer<int64_t> row_offsets(context, n_items + 1);
  association::cooccurrence_sizes(context, args, row_offsets.view());

  PairCounts pairs;
  pairs.n_baskets = pattern.n_rows();
  pairs.row_offsets = row_offsets.to_host();
  Buffer<int32_t> companions(context, pairs.row_offsets.back()), counts(context, pairs.row_offsets.back());
  association::cooccurrence(context, args, std::as_const(row_offsets).view(), companions.view(), counts.view());
  pairs.companions = companions.to_host();
  pairs.counts = counts.to_host();
  for (int64_t i = 0; i < n_items; ++i) pairs.item_counts.push_back(static_cast<int32_t>(by_item.row(i).size()));
  return pairs;
}

HostCsr Partners::to_csr() const {
  HostCsr csr;
  csr.n_columns = n_items;
  std::vector<std::pair<int32_t, float>> row;
  for (int64_t i = 0; i < n_items; ++i) {
    row.clear();
    for (int64_t r = 0; r < k; ++r) {
      const auto at = static_cast<size_t>(i * k + r);
      if (items[at] >= 0) row.emplace_back(items[at], scores[at]);
    }
    std::ranges::sort(row);
    for (const auto& [item, score] : row) {
      csr.columns.push_back(item);
      csr.values.push_back(score);
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

Partners cosine_partners(Context& context, MatrixView<const float> vectors, int64_t k, float scale, float min_score,
                         const PairRule& rule) {
  PartnerLists lists(context, k, vectors.rows);
  const Buffer<int32_t> category(context, rule.category);
  const Buffer<uint8_t> allowed(context, rule.allowed);
  const DeviceCsr excluded(context, rule.excluded);
  association::cosine_topk(context, {.vectors = vectors,
                                     .scale = scale,
                                     .min_score = min_score,
                                     .neighbours = lists.items(),
                                     .scores = lists.scores(),
                                     .rule = rule.kind,
                                     .item_categories = category.view(),
                                     .category_pairs = allowed.matrix(rule.n_categories, rule.n_categories),
                                     .exclude = excluded.view()});
  return lists.to_host();
}

Partners cosine_partners_in_pieces(Context& context, std::span<const float> vectors, int64_t dim, int64_t k,
                                   float scale, float min_score, int64_t device_bytes, const PairRule& rule) {
  constexpr int64_t kFewest = 64;
  Partners partners;
  partners.n_items = static_cast<int64_t>(vectors.size()) / dim;
  partners.k = list_length(k, partners.n_items);
  partners.items.resize(static_cast<size_t>(partners.n_items * partners.k));
  partners.scores.resize(partners.items.size());
  // The op keeps unit vectors in float and in 16 bits beside the floats it is given, and candidates of each row.
  const int64_t vector_bytes = dim * 10, row_bytes = vector_bytes + partners.k * 8 + 4096;
  const int64_t n_rows = std::max(kFewest, device_bytes / 2 / row_bytes);
  const int64_t n_columns = std::max(kFewest, device_bytes / 2 / vector_bytes);
  const auto piece_of = [&](int64_t first, int64_t count) {
    return Buffer<float>(context, vectors.subspan(static_cast<size_t>(first * dim), static_cast<size_t>(count * dim)));
  };
  const auto categories_of = [&](int64_t first, int64_t count) {
    if (rule.category.empty()) return Buffer<int32_t>();
    return Buffer<int32_t>(context,
                           std::span(rule.category).subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
  };
  const Buffer<uint8_t> allowed(context, rule.allowed);
  for (int64_t row = 0; row < partners.n_items; row += n_rows) {
    const int64_t rows = std::min(n_rows, partners.n_items - row);
    const Buffer<float> queries = piece_of(row, rows);
    const Buffer<int32_t> query_category = categories_of(row, rows);
    const DeviceCsr excluded(context, row_block(rule.excluded, row, rows));
    Buffer<int32_t> items(context, rows * partners.k);
    Buffer<float> scores(context, rows * partners.k);
    for (int64_t column = 0; column < partners.n_items; column += n_columns) {
      const int64_t columns = std::min(n_columns, partners.n_items - column);
      const Buffer<float> piece = piece_of(column, columns);
      const Buffer<int32_t> category = categories_of(column, columns);
      association::cosine_topk(context, {.vectors = piece.matrix(columns, dim),
                                         .scale = scale,
                                         .min_score = min_score,
                                         .neighbours = items.matrix(rows, partners.k),
                                         .scores = scores.matrix(rows, partners.k),
                                         .queries = queries.matrix(rows, dim),
                                         .rule = rule.kind,
                                         .item_categories = category.view(),
                                         .query_categories = query_category.view(),
                                         .category_pairs = allowed.matrix(rule.n_categories, rule.n_categories),
                                         .exclude = excluded.view(),
                                         .first_item = column,
                                         .first_query = row,
                                         .merge = column > 0});
      context.synchronize();
    }
    context.copy_to_host(partners.items.data() + row * partners.k, items.data(),
                         static_cast<size_t>(items.size()) * sizeof(int32_t));
    context.copy_to_host(partners.scores.data() + row * partners.k, scores.data(),
                         static_cast<size_t>(scores.size()) * sizeof(float));
  }
  return partners;
}

Partners counted_partners(Context& context, const PairCounts& counts, Measure measure, int64_t k, float min_score) {
  PartnerLists lists(context, k, static_cast<int64_t>(counts.item_counts.size()));
  const Buffer<int64_t> row_offsets(context, counts.row_offsets);
  const Buffer<int32_t> companions(context, counts.companions), pair_counts(context, counts.counts),
      item_counts(context, counts.item_counts);
  association::count_topk(context, {.row_offsets = row_offsets.view(),
                                    .companions = companions.view(),
                                    .counts = pair_counts.view(),
                                    .item_counts = item_counts.view(),
                                    .n_baskets = counts.n_baskets,
                                    .measure = measure,
                                    .min_score = min_score,
                                    .neighbours = lists.items(),
                                    .scores = lists.scores()});
  return lists.to_host();
}

void check_finite_rows(Context& context, MatrixView<const float> vectors,
                       const std::function<std::string(int64_t)>& name_of) {
  constexpr int64_t kRowsAtOnce = 4096;
  std::vector<float> block;
  for (int64_t first = 0; first < vectors.rows; first += kRowsAtOnce) {
    const auto rows = vectors.row_block(first, std::min(kRowsAtOnce, vectors.rows - first));
    block.resize(static_cast<size_t>(rows.size()));
    if (rows.empty()) return;
    context.copy_to_host(block.data(), rows.data, block.size() * sizeof(float));
    const auto bad = std::ranges::find_if(block, [](float x) { return !std::isfinite(x); });
    if (bad == block.end()) continue;
    const int64_t at = bad - block.begin();
    throw DataError("the vector of " + name_of(first + at / vectors.cols) + " is not finite: value " +
                        std::to_string(at % vectors.cols) + " is " + std::to_string(*bad),
                    "train the model again, with a smaller model.learning_rate if that repeats it");
  }
}

HostCsr symmetrised(const HostCsr& lists) {
  const HostCsr turned = transpose(lists);
  HostCsr both;
  both.n_columns = lists.n_columns;
  for (int64_t i = 0; i < lists.n_rows(); ++i) {
    const auto begin = [i](const HostCsr& m) { return static_cast<size_t>(m.row_offsets[static_cast<size_t>(i)]); };
    const auto end = [i](const HostCsr& m) { return static_cast<size_t>(m.row_offsets[static_cast<size_t>(i) + 1]); };
    size_t a = begin(lists), b = begin(turned);
    while (a < end(lists) || b < end(turned)) {
      const bool own = a < end(lists) && (b == end(turned) || lists.columns[a] <= turned.columns[b]);
      const bool other = b < end(turned) && (!own || turned.columns[b] == lists.columns[a]);
      both.columns.push_back(own ? lists.columns[a] : turned.columns[b]);
      both.values.push_back(own && other ? std::max(lists.values[a], turned.values[b])
                                         : (own ? lists.values[a] : turned.values[b]));
      a += own ? 1 : 0;
      b += other ? 1 : 0;
    }
    both.row_offsets.push_back(both.nnz());
  }
  return both;
}

bool PairRule::allows(int32_t i, int32_t j) const {
  if (excluded.n_rows() > 0 && excluded.contains(i, j)) return false;
  if (kind == Kind::any) return true;
  const int32_t a = category[static_cast<size_t>(i)], b = category[static_cast<size_t>(j)];
  if (a < 0 || b < 0) return false;
  if (kind == Kind::table) return allowed[static_cast<size_t>(a * n_categories + b)] != 0;
  return (a == b) == (kind == Kind::same);
}

PairCounts allowed_pairs(const PairCounts& counts, const PairRule& rule) {
  PairCounts kept;
  kept.n_baskets = counts.n_baskets;
  kept.item_counts = counts.item_counts;
  for (size_t i = 0; i + 1 < counts.row_offsets.size(); ++i) {
    for (auto e = static_cast<size_t>(counts.row_offsets[i]); e < static_cast<size_t>(counts.row_offsets[i + 1]); ++e) {
      if (!rule.allows(static_cast<int32_t>(i), counts.companions[e])) continue;
      kept.companions.push_back(counts.companions[e]);
      kept.counts.push_back(counts.counts[e]);
    }
    kept.row_offsets.push_back(static_cast<int64_t>(kept.companions.size()));
  }
  return kept;
}

const char* to_string(Measure measure) {
  for (const auto& [value, name] : kMeasures) {
    if (value == measure) return name;
  }
  return "?";
}

Measure parse_measure(const std::string& text) {
  for (const auto& [value, name] : kMeasures) {
    if (text == name) return value;
  }
  throw UsageError("unknown measure '" + text + "'",
                   "use support, confidence, lift, leverage, conviction, jaccard or count-cosine");
}

}  // namespace sheaf
